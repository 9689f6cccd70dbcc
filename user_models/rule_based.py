"""A rule-based user with explicit concerns: fast, deterministic, no language model.

The persuader's responses are compared with the persona's concerns by cosine similarity of static
word embeddings (wordllama). With n concerns, stubbornness s and initial attitude a0:

- A response settles the open concern whose `settled_by` it is most similar to, if that similarity
  reaches `SETTLES` and no concern's `worsened_by` is nearer. The attitude then rises by
  (1 - 0.4 s) * (7 - a0) / n: with all concerns settled most people accept.
- A response that is nearer to a concern's `worsened_by` than to its `settled_by`, at `WORSENS` or
  more, costs 0.5 (1 + s) and makes the turn idle.
- Any other response makes the turn idle and costs 0.1 (1 + s): flattery, pressure, an empty
  response, another subject, a repetition (from `REPEATS` on).
- The user accepts from `ACCEPTS_AT` on. After `MAX_IDLE_TURNS` idle turns in a row, or at
  `REFUSES_AT` or below, it refuses after each further idle turn with probability (1 + s) / 2, drawn
  from the turn's seed. Nothing else is random but the choice of words.

The state is replayed from the persuader's responses, so it is a function of the dialogue; attitudes
recorded in it are not read. The words are templates that name a concern, and no model of how
people talk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from persuade_env.dialogue import MAX_ATTITUDE, MIN_ATTITUDE, Decision, Dialogue, Persona
from persuade_env.dialogue import PersuadeeTurn as Turn
from persuade_env.errors import UserModelError
from persuade_env.protocols import UserReply
from persuade_env.seeding import derive_seed
from persuade_env.text.embedding import Embedder
from persuade_env.text.normalize import one_line

SETTLES = 0.25
"""Cosine similarity from which a response settles a concern."""
WORSENS = 0.30
"""Cosine similarity from which a response worsens a concern."""
REPEATS = 0.95
"""Cosine similarity from which a response repeats an earlier one."""
MAX_IDLE_TURNS = 2
"""Idle turns in a row before the user may refuse."""
ACCEPTS_AT = 5.5
"""Attitude from which the user accepts."""
REFUSES_AT = 1.5
"""Attitude up to which the user may refuse after a single idle turn."""

_SETTLED = ("That helps.", "All right, that answers it.", "Good to know.", "That I can work with.")
_AGREED = (
    "Then yes, let's do it.",
    "You've answered what bothered me. I'm in.",
    "Fine, I'll do it.",
)
_UNMOVED = ("That doesn't change much for me.", "Maybe. But listen.", "That isn't it.", "Hm.")
_WORSE = ("Now I like it even less.", "That is just what I was afraid of.", "You make it worse.")
_REFUSED = ("I'd rather stop here.", "No. Let's leave it.", "This goes nowhere. Goodbye.")

_CACHED_PERSONAS = 1024
_CACHED_STATES = 8192


@dataclass(frozen=True, eq=False)
class _EmbeddedPersona:
    """A persona and its concerns' texts as unit vectors, each (n_concerns, dimension)."""

    persona: Persona
    settles: np.ndarray
    worsens: np.ndarray


@dataclass(frozen=True)
class _State:
    """The user's state after some responses."""

    attitude: float
    open: tuple[int, ...]
    responses: tuple[np.ndarray, ...] = ()
    idle_turns: int = 0
    settled_now: bool = False
    worsened_now: bool = False


class RuleBasedUser:
    """The user model `concerns`; see the module's text for its rules.

    >>> from persuade_env.dialogue import Dialogue, PersuaderTurn
    >>> from persuade_env.scenarios import load_corpus
    >>> dialogue = Dialogue(scenario=load_corpus("test")[0].scenario)
    >>> dialogue = dialogue.extended(PersuaderTurn(response="You have lovely eyes."))
    >>> (reply,) = RuleBasedUser().reply([dialogue], seeds=[0])
    >>> reply.turn.attitude < dialogue.attitude
    True
    """

    def __init__(self) -> None:
        self._embed = Embedder()
        self._personas: dict[int, _EmbeddedPersona] = {}
        self._states: dict[tuple[_EmbeddedPersona, tuple[str, ...]], _State] = {}

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        """See `UserModel.reply`. A scenario without a persona with concerns gives an error."""
        responses_of = self._responses(dialogues)
        return [
            self._reply(dialogue, responses, seed)
            for dialogue, responses, seed in zip(dialogues, responses_of, seeds, strict=True)
        ]

    def attitudes(self, dialogues: Sequence[Dialogue]) -> list[float]:
        """See `AttitudeUser.attitudes`: by the rules alone, before any refusal is drawn."""
        return [
            self._state(self._embedded(persona), responses).attitude
            if (persona := dialogue.scenario.persona) is not None and persona.concerns
            else math.nan
            for dialogue, responses in zip(dialogues, self._responses(dialogues), strict=True)
        ]

    def _responses(self, dialogues: Sequence[Dialogue]) -> list[tuple[str, ...]]:
        """The persuader's responses in each dialogue, embedded in one batch."""
        responses_of = [
            tuple([one_line(turn.response) for turn in dialogue.persuader_turns])
            for dialogue in dialogues
        ]
        self._embed.precompute([text for responses in responses_of for text in responses])
        return responses_of

    def _reply(self, dialogue: Dialogue, responses: tuple[str, ...], seed: int) -> UserReply:
        persona = dialogue.scenario.persona
        if persona is None or not persona.concerns:
            return UserReply(
                error=UserModelError(
                    f"the concerns user needs a persona with concerns, and scenario "
                    f"{dialogue.scenario.id!r} has none; use `learned` or `prompted`"
                )
            )
        state = self._state(self._embedded(persona), responses)
        return UserReply(turn=_speak(persona, state, seed))

    def _embedded(self, persona: Persona) -> _EmbeddedPersona:
        """The persona as vectors, cached by identity: hashing its texts at every turn is slow."""
        embedded = self._personas.get(id(persona))
        if embedded is None or embedded.persona is not persona:
            if len(self._personas) >= _CACHED_PERSONAS:
                self._personas.clear()
            concerns = persona.concerns
            self._personas[id(persona)] = embedded = _EmbeddedPersona(
                persona,
                settles=self._embed.all([one_line(concern.settled_by) for concern in concerns]),
                worsens=self._embed.all([one_line(concern.worsened_by) for concern in concerns]),
            )
        return embedded

    def _state(self, embedded: _EmbeddedPersona, responses: tuple[str, ...]) -> _State:
        """The state after the responses, replayed from the longest prefix in the cache."""
        known = len(responses)
        while known and (embedded, responses[:known]) not in self._states:
            known -= 1
        state = (
            self._states[embedded, responses[:known]] if known else _initial_state(embedded.persona)
        )
        for count in range(known + 1, len(responses) + 1):
            state = _next_state(embedded, state, self._embed(responses[count - 1]))
            if len(self._states) >= _CACHED_STATES:
                self._states.clear()
            self._states[embedded, responses[:count]] = state
        return state


def _initial_state(persona: Persona) -> _State:
    return _State(persona.initial_attitude, open=tuple(range(len(persona.concerns))))


def _next_state(embedded: _EmbeddedPersona, state: _State, response: np.ndarray) -> _State:
    """The state after one more response, given as a unit vector."""
    persona = embedded.persona
    settling = (embedded.settles @ response).tolist()
    worsening = (embedded.worsens @ response).tolist()
    # Both texts of a concern are about the same subject, so only the nearer one counts.
    worse = max(
        (w for w, s in zip(worsening, settling, strict=True) if w > s),
        default=0.0,
    )
    best = max(state.open, key=settling.__getitem__, default=None)
    settled = (
        best is not None
        and settling[best] >= max(SETTLES, worse)
        and not any(float(response @ earlier) >= REPEATS for earlier in state.responses)
    )
    worsened = not settled and worse >= WORSENS
    if settled:
        room = MAX_ATTITUDE - persona.initial_attitude
        change = (1 - 0.4 * persona.stubbornness) * room / len(persona.concerns)
    else:
        change = -(0.5 if worsened else 0.1) * (1 + persona.stubbornness)
    return _State(
        attitude=min(MAX_ATTITUDE, max(MIN_ATTITUDE, state.attitude + change)),
        open=tuple([index for index in state.open if not (settled and index == best)]),
        responses=(*state.responses, response),
        idle_turns=0 if settled else state.idle_turns + 1,
        settled_now=settled,
        worsened_now=worsened,
    )


def _speak(persona: Persona, state: _State, seed: int) -> Turn:
    if state.attitude >= ACCEPTS_AT:
        return Turn(
            attitude=state.attitude,
            tone="warm",
            response=_choose(_AGREED, seed),
            decision=Decision.ACCEPT,
        )
    concern = persona.concerns[state.open[0]] if state.open else None
    impatient = state.idle_turns > MAX_IDLE_TURNS or (
        state.idle_turns and state.attitude <= REFUSES_AT
    )
    if impatient and derive_seed(seed, "leave") / 2**63 < (1 + persona.stubbornness) / 2:
        return Turn(
            attitude=min(state.attitude, 3.0),
            tone="firm",
            response=_choose(_REFUSED, seed),
            decision=Decision.REFUSE,
            concern=concern.id if concern else None,
        )
    if state.settled_now:
        opening, tone = _choose(_SETTLED, seed), "thoughtful"
    elif state.worsened_now:
        opening, tone = _choose(_WORSE, seed), "annoyed"
    else:
        opening, tone = _choose(_UNMOVED, seed), "skeptical"
    words = f"{opening} {concern.text}" if concern else f"{opening} I need to sleep on it."
    return Turn(
        attitude=state.attitude,
        tone=tone,
        response=words,
        concern=concern.id if concern else None,
    )


def _choose(options: Sequence[str], seed: int) -> str:
    return options[derive_seed(seed, "words") % len(options)]

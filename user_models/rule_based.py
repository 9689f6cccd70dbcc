"""A user with explicit concerns: fast, exact, no language model.

Its mind is a list of concerns. What the persuader says is compared with what would settle
each open concern, by cosine similarity of static word embeddings (wordllama). With a
persona of n concerns, stubbornness s and initial attitude a0:

- A response settles the open concern it is most similar to, if that similarity reaches
  `SETTLES` and no concern's `worsened_by` is nearer. The attitude then rises by
  (1 - 0.4 s) * (7 - a0) / n: all concerns settled make most people accept.
- A response that is nearer to what makes a concern worse than to what settles it, at
  `WORSENS` or more, costs 0.5 (1 + s) and is fruitless.
- Anything else is fruitless and costs 0.1 (1 + s): flattery, pushing, silence, another
  subject, words that were said before. There is no way to be liked into agreement.
- `accept` at 5.5. After `MAX_IDLE_TURNS` fruitless turns in a row, or at 1.5, each further
  fruitless turn is answered with `refuse` with probability (1 + s) / 2, drawn from the
  turn's seed. Nothing else is random but the choice of words.

The state is replayed from the persuader's responses, so it is a function of the dialogue;
attitudes recorded in it, by whatever user model, are not read. The words are scripted: they
say which concern is at stake, and are no model of how people talk.
"""

from __future__ import annotations

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
"""Cosine similarity from which a response speaks to a concern."""
WORSENS = 0.30
"""Cosine similarity from which a response is what makes a concern worse."""
REPEATS = 0.95
"""Cosine similarity from which a response is one that was made before."""
MAX_IDLE_TURNS = 2
"""Fruitless turns in a row that are sat through."""
ACCEPTS_AT = 5.5
LEAVES_AT = 1.5

_SETTLED = ("That helps.", "All right, that answers it.", "Good to know.", "That I can work with.")
_AGREED = (
    "Then yes, let's do it.",
    "You've answered what bothered me. I'm in.",
    "Fine, I'll do it.",
)
_UNMOVED = ("That doesn't change much for me.", "Maybe. But listen.", "That isn't it.", "Hm.")
_WORSE = ("Now I like it even less.", "That is just what I was afraid of.", "You make it worse.")
_LEFT = ("I'd rather stop here.", "No. Let's leave it.", "This goes nowhere. Goodbye.")


_KEPT_MINDS = 1024
_KEPT_STATES = 8192


@dataclass(frozen=True, eq=False)
class _Mind:
    """A persona's texts as unit vectors, each (n_concerns, dimension)."""

    persona: Persona
    settles: np.ndarray
    worsens: np.ndarray


@dataclass(frozen=True)
class _State:
    """Where a mind stands after the responses heard so far."""

    attitude: float
    open: tuple[int, ...]
    heard: tuple[np.ndarray, ...] = ()
    idle_turns: int = 0
    settled_now: bool = False
    worsened_now: bool = False


class ConcernsUser:
    """The user model `concerns`; see the module's text for its rules."""

    def __init__(self) -> None:
        self._embed = Embedder()
        self._minds: dict[int, _Mind] = {}
        self._states: dict[tuple[_Mind, tuple[str, ...]], _State] = {}

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        """See `UserModel.reply`. A scenario without a persona with concerns gives an error."""
        heard = [
            tuple([one_line(turn.response) for turn in dialogue.persuader_turns])
            for dialogue in dialogues
        ]
        self._embed.remember([text for responses in heard for text in responses])
        return [
            self._one(dialogue, responses, seed)
            for dialogue, responses, seed in zip(dialogues, heard, seeds, strict=True)
        ]

    def _one(self, dialogue: Dialogue, responses: tuple[str, ...], seed: int) -> UserReply:
        persona = dialogue.scenario.persona
        if persona is None or not persona.concerns:
            return UserReply(
                error=UserModelError(
                    f"the concerns user needs a persona with concerns, and scenario "
                    f"{dialogue.scenario.id!r} has none; use `learned` or `prompted`"
                )
            )
        state = self._state(self._mind(persona), responses)
        return UserReply(turn=_speak(persona, state, seed))

    def _mind(self, persona: Persona) -> _Mind:
        """A persona as vectors, kept by identity: to hash all its texts at every turn is slow."""
        attitude_model = self._minds.get(id(persona))
        if attitude_model is None or attitude_model.persona is not persona:
            if len(self._minds) >= _KEPT_MINDS:
                self._minds.clear()
            self._minds[id(persona)] = attitude_model = _Mind(
                persona,
                settles=self._embed.all([one_line(one.settled_by) for one in persona.concerns]),
                worsens=self._embed.all([one_line(one.worsened_by) for one in persona.concerns]),
            )
        return attitude_model

    def _state(self, attitude_model: _Mind, responses: tuple[str, ...]) -> _State:
        """The mind after the responses, replayed from where it is remembered: mostly the last."""
        known = len(responses)
        while known and (attitude_model, responses[:known]) not in self._states:
            known -= 1
        state = (
            self._states[attitude_model, responses[:known]]
            if known
            else _beginning(attitude_model.persona)
        )
        for count in range(known + 1, len(responses) + 1):
            state = _hear(attitude_model, state, self._embed(responses[count - 1]))
            if len(self._states) >= _KEPT_STATES:
                self._states.clear()
            self._states[attitude_model, responses[:count]] = state
        return state


def _beginning(persona: Persona) -> _State:
    return _State(persona.initial_attitude, open=tuple(range(len(persona.concerns))))


def _hear(attitude_model: _Mind, state: _State, response: np.ndarray) -> _State:
    """The state after one more response."""
    persona = attitude_model.persona
    similarities = (attitude_model.settles @ response).tolist()
    worsening = (attitude_model.worsens @ response).tolist()
    # Both speak of the same thing; which of them was said is what counts.
    nearer = (
        worse for worse, better in zip(worsening, similarities, strict=True) if worse > better
    )
    worse = max(nearer, default=0.0)
    best = max(state.open, key=similarities.__getitem__, default=None)
    settled = (
        best is not None
        and similarities[best] >= max(SETTLES, worse)
        and not any(float(response @ earlier) >= REPEATS for earlier in state.heard)
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
        heard=(*state.heard, response),
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
    stake = persona.concerns[state.open[0]] if state.open else None
    tired = state.idle_turns > MAX_IDLE_TURNS or (state.idle_turns and state.attitude <= LEAVES_AT)
    if tired and derive_seed(seed, "leave") / 2**63 < (1 + persona.stubbornness) / 2:
        return Turn(
            attitude=min(state.attitude, 3.0),
            tone="firm",
            response=_choose(_LEFT, seed),
            decision=Decision.REFUSE,
            concern=stake.id if stake else None,
        )
    if state.settled_now:
        opening, tone = _choose(_SETTLED, seed), "thoughtful"
    elif state.worsened_now:
        opening, tone = _choose(_WORSE, seed), "annoyed"
    else:
        opening, tone = _choose(_UNMOVED, seed), "skeptical"
    words = f"{opening} {stake.text}" if stake else f"{opening} I need to sleep on it."
    return Turn(
        attitude=state.attitude,
        tone=tone,
        response=words,
        concern=stake.id if stake else None,
    )


def _choose(options: Sequence[str], seed: int) -> str:
    return options[derive_seed(seed, "words") % len(options)]

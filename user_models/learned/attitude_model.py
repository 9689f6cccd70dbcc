"""The learned user's state between hearing and speaking: how far a turn moves it, and whether
it ends the dialogue.

A language model of this size, left to write its own attitude, is moved by anything: silence
gained as much as a good reason (`docs/user-models.md`). So the attitude is decided first, by
small regressions learned from the same dialogues, and the language model only puts it into
words. A step is the sum of three parts:

- **Reasons**: how much nearer the response comes to what would settle each hidden concern than to
  what would worsen it (`STANCE_FEATURES`), in words and in meaning.
- **The case**: which way the persuader has argued so far, by the same likenesses, -1 to 1, times
  how well this turn is put, which the ear (`user_models.learned.encoder`) hears. A question gives
  no reason and still moves people, if it is asked well by somebody who is on to something.
- **Displeasure**, never above 0: what the ear hears in the turn that people don't like: being
  talked past, pressed, flattered, told the same again or nothing, or something that makes no
  sense. It can only cost.

Reasons and case change their sign when a goal and its negation change places, and there is no
constant: what is said for a goal moves a mind towards it as far as away from its negation. So
style can't buy what reasons don't: without a case, well-spoken words are worth nothing. And
nothing is heeded that was said before, or that nobody would say
(`user_models.learned.plausibility`): words that name the right things in no sensible way are no
reason.

Neither the attitude so far nor the persuader's reasoning is heard, so that a dialogue which
went well does not move by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persuade_env.dialogue import (
    MAX_ATTITUDE,
    MIN_ATTITUDE,
    Decision,
    Dialogue,
    Persona,
    PersuaderTurn,
)
from persuade_env.errors import UserModelError
from persuade_env.seeding import derive_seed
from persuade_env.text.normalize import one_line
from user_models.learned.encoder import TurnEncoder, clean_response
from user_models.learned.plausibility import PlausibilityModel
from user_models.learned.semantic_embedding import CommonComponents, SemanticEmbedder, TextEncoder

FILE = "mind.json"

ACCEPTS_FROM = 5.5
"""Nobody accepts below this attitude, in the corpus or here."""
REFUSES_TO = 3.0
"""Nobody walks away above this attitude, in the corpus or here."""
LARGEST_STEP = 2.0
"""No turn moves an attitude by more than this, in the corpus or here."""

NEAR_COPY = 0.8
"""Similarity above which a response is more and more the same as an earlier one."""

SENSES = ("words", "meaning")
"""What likenesses are read from: static embeddings, and
`user_models.learned.semantic_embedding`."""
_BALANCES = ("settles_over_worsens", "settles_some_over_worsens_some", "settles_what_was_voiced")
_OVERALL = 1  # the balance that a case is the sum of
_PULLED = tuple(f"{balance}_by_{sense}" for sense in SENSES for balance in _BALANCES)
STANCE_FEATURES = (*_PULLED, *(f"{name}_when_yielding" for name in _PULLED))
"""What reasons are a linear function of; see `features`."""
CUMULATIVE_FEATURES = tuple(f"case_by_{sense}" for sense in SENSES)
FEATURES = (*STANCE_FEATURES, *CUMULATIVE_FEATURES, "relevance_weight")
"""All that is known of what is said; see `features`."""

ENDING_FEATURES = ("attitude", "step", "stubbornness", "turn")
"""What the decision depends on: the attitude after the step, the step, and the turn's number."""


@dataclass(frozen=True)
class TextEncoders:
    """What responses are read with."""

    words: TextEncoder
    meaning: TextEncoder
    plausible: Callable[[str], float]
    """What a text counts for by how sensible it is, 0 to 1."""


class Argument(BaseModel):
    """Reasons and case: what is said, and what that does to an attitude.

    All weights are for features as they come, not standardised.
    """

    # Fields have other names in `mind.json`, so that trained users keep loading.
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True
    )

    weights: tuple[float, ...]
    """Of `STANCE_FEATURES`."""
    cumulative_weights: tuple[float, ...] = Field(alias="case_weights")
    """Of `CUMULATIVE_FEATURES`."""
    delivery_weights: tuple[float, ...] = Field(alias="craft_weights")
    """How well a turn is put, by its encoding."""
    delivery_intercept: float = Field(alias="craft_intercept")

    def steps(self, turn_features: np.ndarray, encoded_turns: np.ndarray) -> np.ndarray:
        """The change of attitude, (n,); see `AttitudeModel.step` for the arguments."""
        return self.argument_strength(turn_features) + self.cumulative_stance(
            turn_features
        ) * self.delivery(encoded_turns)

    def argument_strength(self, turn_features: np.ndarray) -> np.ndarray:
        """What the reasons alone do, (n,)."""
        return _by_row(turn_features[:, : len(STANCE_FEATURES)], self.weights)

    def cumulative_stance(self, turn_features: np.ndarray) -> np.ndarray:
        """Which way the persuader has argued so far, (n,), -1 to 1; 0 if this turn adds nothing."""
        return cumulative_stance(turn_features, self.cumulative_weights)

    def delivery(self, encoded_turns: np.ndarray) -> np.ndarray:
        """What a case gains by how this turn is put, (n,), at least 0."""
        return np.maximum(
            0.0, _by_row(encoded_turns, self.delivery_weights) + self.delivery_intercept
        )

    def scaled(self, times: float) -> Argument:
        """The same, its steps that many times as large."""
        return Argument(
            weights=tuple(times * one for one in self.weights),
            cumulative_weights=self.cumulative_weights,
            delivery_weights=tuple(times * one for one in self.delivery_weights),
            delivery_intercept=times * self.delivery_intercept,
        )


class AttitudeModel(BaseModel):
    """Linear models of each part and of the decision. See
    `user_models.learned.training.attitude_model`."""

    # Fields have other names in `mind.json`, so that trained users keep loading.
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True
    )

    features: tuple[str, ...] = FEATURES
    common: CommonComponents
    """What texts share to the ear, whatever they mean."""
    plausibility: PlausibilityModel = Field(alias="coherence")
    argument: Argument
    reaction_weights: tuple[float, ...] = Field(alias="hearing_weights")
    """For what the ear hears, as many as the language model's hidden states are wide."""
    reaction_intercept: float = Field(alias="hearing_intercept")
    ending_features: tuple[str, ...] = ENDING_FEATURES
    ending_classes: tuple[Literal["continue", "accept", "refuse"], ...]
    ending_weights: tuple[tuple[float, ...], ...]
    """One row of weights for each class; the softmax of the scores gives the probabilities."""
    ending_intercepts: tuple[float, ...]
    fit: dict[str, float] = {}
    """How well it predicts what it was not trained on, by cross-validation over scenarios."""

    def step(self, turn_features: np.ndarray, encoded_turns: np.ndarray) -> np.ndarray:
        """The change of attitude, (n,), at most `LARGEST_STEP`.

        Args:
            said: `features`, (n, n_features).
            heard: what the ear makes of the same turns, (n, hidden size).
        """
        steps = self.argument.steps(turn_features, encoded_turns) + self.negative_reaction(
            encoded_turns
        )
        return np.asarray(np.clip(steps, -LARGEST_STEP, LARGEST_STEP))

    def negative_reaction(self, encoded_turns: np.ndarray) -> np.ndarray:
        """What it costs to be talked to like this, (n,), at most 0."""
        return np.minimum(
            0.0, _by_row(encoded_turns, self.reaction_weights) + self.reaction_intercept
        )

    def end_probabilities(
        self, attitude: float, step: float, stubbornness: float, turn: int
    ) -> dict[Decision, float]:
        """How likely each decision is after a step to this attitude at this turn (from 1)."""
        scores = np.asarray(self.ending_weights) @ [attitude, step, stubbornness, turn]
        scores = scores + np.asarray(self.ending_intercepts)
        shares = end_shares(scores[None], np.asarray([attitude]), self.ending_classes)
        accept, refuse = (float(one[0]) for one in shares)
        return {
            Decision.ACCEPT: accept,
            Decision.REFUSE: refuse,
            Decision.CONTINUE: 1.0 - accept - refuse,
        }

    def predict(
        self,
        dialogues: Sequence[Dialogue],
        seeds: Sequence[int],
        words: TextEncoder,
        encoder: TurnEncoder,
    ) -> list[tuple[float, Decision]]:
        """Attitude and decision after the last persuader turn of each dialogue.

        The attitude is certain, given the dialogue; only the decision is drawn, from the seed.

        Raises:
            UserModelError: if a scenario has no persona with concerns; see `has_concerns`.
        """
        text_encoders = self.text_encoders(words, encoder)
        turn_features = np.stack([features(dialogue, text_encoders) for dialogue in dialogues])
        steps = self.step(turn_features, encoder(dialogues))
        return [
            self._decide(dialogue, float(step), seed)
            for dialogue, step, seed in zip(dialogues, steps, seeds, strict=True)
        ]

    def text_encoders(self, words: TextEncoder, encoder: TurnEncoder) -> TextEncoders:
        """What it reads responses with."""
        meaning = SemanticEmbedder(encoder.meaning, self.common)
        return TextEncoders(words, meaning, lambda text: self.plausibility(encoder.meaning(text)))

    def _decide(self, dialogue: Dialogue, step: float, seed: int) -> tuple[float, Decision]:
        attitude = clipped(dialogue.attitude + step)
        persona = dialogue.scenario.persona
        stubbornness = persona.stubbornness if persona else 0.5
        shares = self.end_probabilities(attitude, step, stubbornness, len(dialogue.persuader_turns))
        drawn = derive_seed(seed, "decision") / 2**63
        if drawn < shares[Decision.ACCEPT]:
            return attitude, Decision.ACCEPT
        if drawn < shares[Decision.ACCEPT] + shares[Decision.REFUSE]:
            return attitude, Decision.REFUSE
        return attitude, Decision.CONTINUE


def end_shares(
    scores: np.ndarray, attitudes: np.ndarray, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n,) of accepting and of walking away, by scores (n, n_classes).

    Nobody does either at an attitude at which nobody does; that share goes on with the dialogue.
    """
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = dict(zip(classes, (weights / weights.sum(axis=1, keepdims=True)).T, strict=True))
    never = np.zeros(len(scores))
    accept = np.where(attitudes >= ACCEPTS_FROM, shares.get("accept", never), 0.0)
    refuse = np.where(attitudes <= REFUSES_TO, shares.get("refuse", never), 0.0)
    return accept, refuse


def clipped(attitude: float) -> float:
    """Within the scale."""
    return min(MAX_ATTITUDE, max(MIN_ATTITUDE, attitude))


def has_concerns(dialogue: Dialogue) -> bool:
    """Whether the scenario tells what goes on in the persuadee; without it no step is known."""
    persona = dialogue.scenario.persona
    return persona is not None and bool(persona.concerns)


def features(dialogue: Dialogue, text_encoders: TextEncoders) -> np.ndarray:
    """Which way the last persuader turn and those before it pull, (n_features,): `FEATURES`.

    Similarities are cosines, in words and in meaning. With s_k and w_k those to what settles and
    worsens concern k:

    - settles_over_worsens: max s_k - max w_k;
    - settles_some_over_worsens_some: max (s_k - w_k) - max (w_k - s_k);
    - settles_what_was_voiced: s_k - w_k of the concern nearest to the user's last words, or to
      all concerns before the first;
    - …_when_yielding: the same times one minus stubbornness;
    - case: settles_some_over_worsens_some, summed over all persuader turns so far;
    - heeded: how much of the response counts, 0 to 1: less as it nears a copy of an earlier one,
      and less the less anybody would say it.

    So much of each turn's likenesses counts, too: what was said before says nothing again.

    Raises:
        UserModelError: if the scenario has no persona with concerns.
    """
    persona = dialogue.scenario.persona
    if persona is None or not persona.concerns:
        raise UserModelError(f"scenario {dialogue.scenario.id!r} has no persona with concerns")
    if not dialogue.turns or not isinstance(dialogue.turns[-1], PersuaderTurn):
        raise UserModelError("the last turn of the dialogue is not the persuader's")
    spoken = [clean_response(turn.response) for turn in dialogue.persuader_turns]
    relevance_weight = _novelty(text_encoders.words.all(spoken)) * [
        text_encoders.plausible(text) for text in spoken
    ]
    stance_features = np.stack(
        [
            relevance_weight[:, None] * _stance_features(dialogue, persona, sense)
            for sense in (text_encoders.words, text_encoders.meaning)
        ]
    )
    now = stance_features[:, -1].ravel()
    cases = stance_features[:, :, _OVERALL].sum(axis=1)
    return np.concatenate([now, now * (1 - persona.stubbornness), cases, relevance_weight[-1:]])


def cumulative_stance(turn_features: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """`Argument.cumulative_stance` with these weights."""
    leans = turn_features[:, len(STANCE_FEATURES) : len(STANCE_FEATURES) + len(CUMULATIVE_FEATURES)]
    return np.asarray(turn_features[:, -1] * np.tanh(_by_row(leans, weights)))


def _novelty(responses: np.ndarray) -> np.ndarray:
    """How little each of these vectors is like an earlier one, (n,), 0 to 1."""
    likeness = np.tril(responses @ responses.T, -1).max(axis=1, initial=0.0)
    return np.asarray(1.0 - np.maximum(0.0, likeness - NEAR_COPY) / (1.0 - NEAR_COPY))


def _stance_features(dialogue: Dialogue, persona: Persona, sense: TextEncoder) -> np.ndarray:
    """Of each persuader turn the balances between what settles and what worsens, (turns, 3)."""
    responses = sense.all([clean_response(turn.response) for turn in dialogue.persuader_turns])
    worries = sense.all([one_line(one.text) for one in persona.concerns])
    settles = responses @ sense.all([one_line(one.settled_by) for one in persona.concerns]).T
    worsens = responses @ sense.all([one_line(one.worsened_by) for one in persona.concerns]).T
    voiced = (_voiced(dialogue, worries, sense) @ worries.T).argmax(axis=1)
    turns = np.arange(len(responses))
    return np.stack(
        [
            settles.max(axis=1) - worsens.max(axis=1),
            (settles - worsens).max(axis=1) - (worsens - settles).max(axis=1),
            (settles - worsens)[turns, voiced],
        ],
        axis=1,
    ).astype(np.float64)


def _voiced(dialogue: Dialogue, worries: np.ndarray, sense: TextEncoder) -> np.ndarray:
    """The user's last words before each persuader turn, as vectors (turns, dimension); before the
    first words all worries are as near."""
    last, voiced = worries.mean(axis=0), []
    for turn in dialogue.turns:
        if isinstance(turn, PersuaderTurn):
            voiced.append(last)
        else:
            last = sense(one_line(turn.response))
    return np.stack(voiced)


def _by_row(rows: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Rows times weights, (n,), one by one: a matrix product rounds differently at another
    number of rows, and a dialogue must not know how many others are heard beside it."""
    column = np.asarray(weights)
    return np.array([row @ column for row in np.ascontiguousarray(rows)])


def read_attitude_model(folder: Path) -> AttitudeModel | None:
    """The mind of a user model's checkpoint; None if it was trained without one.

    Raises:
        UserModelError: if it can't be read, or knows other features than this version.
    """
    path = folder / FILE
    try:
        attitude_model = AttitudeModel.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise UserModelError(
            f"cannot read {path}; if an earlier version made it, train it again: {error}"
        ) from error
    # The last feature had another name once; it is the same number.
    stored = (*attitude_model.features[:-1], *FEATURES[-1:])
    if (stored, attitude_model.ending_features) != (FEATURES, ENDING_FEATURES):
        raise UserModelError(
            f"{path} was trained with other features than this version has: train it again"
        )
    return attitude_model

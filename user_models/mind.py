"""The learned user's state between hearing and speaking: how far a turn moves it, and whether
it ends the dialogue.

A language model of this size, left to write its own attitude, is moved by anything: silence
gained as much as a good reason (`docs/user-models.md`). So the attitude is decided first, by
small regressions learned from the same dialogues, and the language model only puts it into
words. A step is the sum of two parts:

- **Reasons**: how much nearer the response comes to what would settle each hidden concern than to
  what would worsen it (`FEATURES`). Each of these numbers changes its sign when a goal and its
  negation change places, and there is no constant, so reasons for a goal move a
  mind towards it as far as they move it away from the negation.
- **Displeasure**, never above 0: what a language model's ear (`user_models.ear`) hears in the
  turn that people don't like: being talked past, pressed, flattered, told the same again
  or nothing, or something that makes no sense. It can only cost. Well-spoken words that
  answer no concern are worth nothing, so style can't buy what reasons don't.

Neither the attitude so far nor the persuader's reasoning is heard, so that a dialogue that
went well does not move by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from persuade_env.dialogue import MAX_ATTITUDE, MIN_ATTITUDE, Decision, Dialogue, PersuaderTurn
from persuade_env.embedding import Embedder
from persuade_env.errors import UserModelError
from persuade_env.seeding import derive_seed
from persuade_env.turn_format import one_line
from user_models.ear import Ear, heard_words

FILE = "mind.json"

ACCEPTS_FROM = 5.5
"""Nobody accepts below this attitude, in the corpus or here."""
REFUSES_TO = 3.0
"""Nobody walks away above this attitude, in the corpus or here."""
LARGEST_STEP = 2.0
"""No turn moves an attitude by more than this, in the corpus or here."""

NEAR_COPY = 0.8
"""Similarity above which a response is more and more the same as an earlier one."""

_BALANCES = ("settles_over_worsens", "settles_some_over_worsens_some", "settles_what_was_voiced")
FEATURES = (*_BALANCES, *(f"{name}_when_yielding" for name in _BALANCES))
"""What reasons are a linear function of; see `features`."""

ENDING_FEATURES = ("attitude", "step", "stubbornness", "turn")
"""What the decision depends on: the attitude after the step, the step, and the turn's number."""


class Mind(BaseModel):
    """Linear models: reasons, displeasure and the decision. See `user_models.mind_training`.

    All weights are for features as they come, not standardised.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...] = FEATURES
    weights: tuple[float, ...]
    hearing_weights: tuple[float, ...]
    """For what the ear hears, as many as the language model's hidden states are wide."""
    hearing_intercept: float
    ending_features: tuple[str, ...] = ENDING_FEATURES
    ending_classes: tuple[Literal["continue", "accept", "refuse"], ...]
    ending_weights: tuple[tuple[float, ...], ...]
    """One row of weights for each class; the softmax of the scores gives the probabilities."""
    ending_intercepts: tuple[float, ...]
    fit: dict[str, float] = {}
    """How well it predicts what it was not trained on, by cross-validation over scenarios."""

    def step(self, reasons: np.ndarray, heard: np.ndarray) -> np.ndarray:
        """The change of attitude, (n,), at most `LARGEST_STEP`.

        Args:
            reasons: `features`, (n, n_features).
            heard: what the ear makes of the same turns, (n, hidden size).
        """
        steps = self.reasons(reasons) + self.displeasure(heard)
        return np.asarray(np.clip(steps, -LARGEST_STEP, LARGEST_STEP))

    def reasons(self, features: np.ndarray) -> np.ndarray:
        """What the reasons alone do, (n,)."""
        return _by_row(features, self.weights)

    def displeasure(self, heard: np.ndarray) -> np.ndarray:
        """What it costs to be talked to like this, (n,), at most 0."""
        return np.minimum(0.0, _by_row(heard, self.hearing_weights) + self.hearing_intercept)

    def end_probabilities(
        self, attitude: float, step: float, stubbornness: float, turn: int
    ) -> dict[Decision, float]:
        """How likely each decision is after a step to this attitude at this turn (from 1)."""
        scores = np.asarray(self.ending_weights) @ [attitude, step, stubbornness, turn]
        scores = scores + np.asarray(self.ending_intercepts)
        weights = np.exp(scores - scores.max())
        shares = dict(zip(self.ending_classes, weights / weights.sum(), strict=True))
        accept = shares.get("accept", 0.0) if attitude >= ACCEPTS_FROM else 0.0
        refuse = shares.get("refuse", 0.0) if attitude <= REFUSES_TO else 0.0
        return {
            Decision.ACCEPT: float(accept),
            Decision.REFUSE: float(refuse),
            Decision.CONTINUE: float(1.0 - accept - refuse),
        }

    def hear(
        self, dialogues: Sequence[Dialogue], seeds: Sequence[int], embed: Embedder, ear: Ear
    ) -> list[tuple[float, Decision]]:
        """Attitude and decision after the last persuader turn of each dialogue.

        The attitude is certain, given the dialogue; only the decision is drawn, from the seed.

        Raises:
            UserModelError: if a scenario has no persona with concerns; see `has_concerns`.
        """
        reasons = np.stack([features(dialogue, embed) for dialogue in dialogues])
        steps = self.step(reasons, ear(dialogues))
        return [
            self._decide(dialogue, float(step), seed)
            for dialogue, step, seed in zip(dialogues, steps, seeds, strict=True)
        ]

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


def clipped(attitude: float) -> float:
    """Within the scale."""
    return min(MAX_ATTITUDE, max(MIN_ATTITUDE, attitude))


def has_concerns(dialogue: Dialogue) -> bool:
    """Whether the scenario tells what goes on in the persuadee; without it no step is known."""
    persona = dialogue.scenario.persona
    return persona is not None and bool(persona.concerns)


def features(dialogue: Dialogue, embed: Embedder) -> np.ndarray:
    """Which way the last persuader turn pulls, (n_features,), in the order of `FEATURES`.

    Similarities are cosines. With s_k and w_k those to what settles and worsens concern k:

    - settles_over_worsens: max s_k - max w_k;
    - settles_some_over_worsens_some: max (s_k - w_k) - max (w_k - s_k);
    - settles_what_was_voiced: s_k - w_k of the concern nearest to the user's last words, or to
      all concerns before the first;
    - …_when_yielding: the same times one minus stubbornness.

    What was said before says nothing again: all are damped as the response nears a copy.

    Raises:
        UserModelError: if the scenario has no persona with concerns.
    """
    scenario = dialogue.scenario
    persona = scenario.persona
    if persona is None or not persona.concerns:
        raise UserModelError(f"scenario {scenario.id!r} has no persona with concerns")
    responses = [heard_words(turn.response) for turn in dialogue.persuader_turns]
    words = [one_line(turn.response) for turn in dialogue.persuadee_turns]
    if not dialogue.turns or not isinstance(dialogue.turns[-1], PersuaderTurn):
        raise UserModelError("the last turn of the dialogue is not the persuader's")

    response = embed(responses[-1])
    earlier = embed.all(responses[:-1]) if len(responses) > 1 else np.zeros((0, len(response)))
    worries = embed.all([one_line(one.text) for one in persona.concerns])
    settles = embed.all([one_line(one.settled_by) for one in persona.concerns]) @ response
    worsens = embed.all([one_line(one.worsened_by) for one in persona.concerns]) @ response
    last = embed(words[-1]) if words else worries.mean(axis=0)
    voiced = int((worries @ last).argmax())
    copied = float((earlier @ response).max(initial=0.0))
    new = 1.0 - max(0.0, copied - NEAR_COPY) / (1.0 - NEAR_COPY)
    pulls = new * np.asarray(
        [
            settles.max() - worsens.max(),
            (settles - worsens).max() - (worsens - settles).max(),
            settles[voiced] - worsens[voiced],
        ],
        dtype=np.float64,
    )
    return np.concatenate([pulls, pulls * (1 - persona.stubbornness)])


def _by_row(rows: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Rows times weights, (n,), one by one: a matrix product rounds differently at another
    number of rows, and a dialogue must not know how many others are heard beside it."""
    column = np.asarray(weights)
    return np.array([row @ column for row in np.ascontiguousarray(rows)])


def read_mind(folder: Path) -> Mind | None:
    """The mind of a user model's checkpoint; None if it was trained without one.

    Raises:
        UserModelError: if it can't be read, or knows other features than this version.
    """
    path = folder / FILE
    try:
        mind = Mind.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise UserModelError(f"cannot read {path}: {error}") from error
    if (mind.features, mind.ending_features) != (FEATURES, ENDING_FEATURES):
        raise UserModelError(
            f"{path} was trained with other features than this version has: train it again"
        )
    return mind

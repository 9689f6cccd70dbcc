"""The learned user's state between hearing and speaking: how far a turn moves it, and whether
it ends the dialogue.

A language model of this size, left to write its own attitude, is moved by anything: silence
gained as much as a good reason (`docs/user-models.md`). So the attitude is decided first, by
two small regressions learned from the same dialogues, and the language model only puts it into
words. What they see are the similarities in `FEATURES`, all of them of what was *said*: how
close the persuader's response comes to what would settle or worsen each hidden concern, whether
it takes up the last thing that the user said, whether it was said before. Neither
the attitude so far nor the persuader's reasoning is among them, so that a dialogue that went
well does not move by itself.
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

FILE = "mind.json"

ACCEPTS_FROM = 5.5
"""Nobody accepts below this attitude, in the corpus or here."""
REFUSES_TO = 3.0
"""Nobody walks away above this attitude, in the corpus or here."""
LARGEST_STEP = 2.0
"""No turn moves an attitude by more than this, in the corpus or here."""

ADDRESSED = 0.3
"""Similarity from which a concern has been spoken to by an earlier turn."""
NEAR_COPY = 0.8
"""Similarity above which a response is more and more the same as an earlier one."""

FEATURES = (
    "settles",
    "settles_new",
    "worsens",
    "settles_over_worsens",
    "worsens_over_settles",
    "settles_what_was_voiced",
    "takes_up_last_words",
    "repeats",
    "about_the_goal",
    "about_the_background",
    "settles_when_yielding",
)
"""What the step is a linear function of; see `features`."""

ENDING_FEATURES = ("attitude", "step", "stubbornness", "turn")
"""What the decision depends on: the attitude after the step, the step, and the turn's number."""


class Mind(BaseModel):
    """Two linear models: the attitude's step, and the decision. See `user_models.mind_training`.

    All weights are for features as they come, not standardised.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...] = FEATURES
    weights: tuple[float, ...]
    intercept: float
    ending_features: tuple[str, ...] = ENDING_FEATURES
    ending_classes: tuple[Literal["continue", "accept", "refuse"], ...]
    ending_weights: tuple[tuple[float, ...], ...]
    """One row of weights for each class; the softmax of the scores gives the probabilities."""
    ending_intercepts: tuple[float, ...]
    fit: dict[str, float] = {}
    """How well it predicts what it was not trained on, by cross-validation over scenarios."""

    def step(self, features: np.ndarray) -> np.ndarray:
        """The change of attitude, (n,), from features (n, n_features); at most `LARGEST_STEP`."""
        # Row by row: a matrix product rounds differently at another number of rows, and a
        # dialogue must not know how many others are heard beside it.
        weights = np.asarray(self.weights)
        steps = np.array([row @ weights for row in np.ascontiguousarray(features)])
        return np.asarray(np.clip(steps + self.intercept, -LARGEST_STEP, LARGEST_STEP))

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
        self, dialogues: Sequence[Dialogue], seeds: Sequence[int], embed: Embedder
    ) -> list[tuple[float, Decision]]:
        """Attitude and decision after the last persuader turn of each dialogue.

        The attitude is certain, given the dialogue; only the decision is drawn, from the seed.

        Raises:
            UserModelError: if a scenario has no persona with concerns; see `has_concerns`.
        """
        steps = self.step(np.stack([features(dialogue, embed) for dialogue in dialogues]))
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
    """What the last persuader turn comes close to, (n_features,), in the order of `FEATURES`.

    Similarities are cosines. With s_k and w_k those to what settles and worsens concern k:

    - settles: max s_k; settles_new: the same over the concerns no earlier turn spoke to;
    - worsens: max w_k; settles_over_worsens: max (s_k - w_k); worsens_over_settles: the reverse;
    - settles_what_was_voiced: s_k - w_k of the concern nearest to the user's last words;
    - takes_up_last_words: similarity to these words, or to all concerns before the first;
    - repeats: how far the similarity to an earlier response is above `NEAR_COPY`, 0 to 1;
    - about_the_goal, about_the_background: similarity to those;
    - settles_when_yielding: settles, times one minus stubbornness.

    What was said before says nothing again: all but `repeats` are damped by one minus it.

    Raises:
        UserModelError: if the scenario has no persona with concerns.
    """
    scenario = dialogue.scenario
    persona = scenario.persona
    if persona is None or not persona.concerns:
        raise UserModelError(f"scenario {scenario.id!r} has no persona with concerns")
    responses = [one_line(turn.response) for turn in dialogue.persuader_turns]
    words = [one_line(turn.response) for turn in dialogue.persuadee_turns]
    if not dialogue.turns or not isinstance(dialogue.turns[-1], PersuaderTurn):
        raise UserModelError("the last turn of the dialogue is not the persuader's")

    response = embed(responses[-1])
    earlier = embed.all(responses[:-1]) if len(responses) > 1 else np.zeros((0, len(response)))
    settled_by = embed.all([one_line(one.settled_by) for one in persona.concerns])
    worsened_by = embed.all([one_line(one.worsened_by) for one in persona.concerns])
    worries = embed.all([one_line(one.text) for one in persona.concerns])

    settles, worsens = settled_by @ response, worsened_by @ response
    spoken_to = (settled_by @ earlier.T >= ADDRESSED).any(axis=1)
    new = settles[~spoken_to]
    last = embed(words[-1]) if words else worries.mean(axis=0)
    voiced = int((worries @ last).argmax())
    copied = float((earlier @ response).max(initial=0.0))
    repeats = max(0.0, copied - NEAR_COPY) / (1 - NEAR_COPY)
    said = np.asarray(
        [
            settles.max(),
            new.max() if len(new) else 0.0,
            worsens.max(),
            (settles - worsens).max(),
            (worsens - settles).max(),
            settles[voiced] - worsens[voiced],
            last @ response,
            0.0,
            embed(one_line(scenario.goal)) @ response,
            embed(one_line(scenario.background)) @ response,
            settles.max() * (1 - persona.stubbornness),
        ],
        dtype=np.float64,
    )
    said *= 1 - repeats
    said[FEATURES.index("repeats")] = repeats
    return said


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

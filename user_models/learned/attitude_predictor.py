"""What every attitude model of a learned user has: from steps to attitudes and decisions.

An attitude model predicts how far a persuader's turn moves the attitude; this base class adds the
steps up and draws the decision, by a multinomial logistic regression on the attitude after the
step, the step, stubbornness and the turn's number.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from persuade_env.dialogue import MAX_ATTITUDE, MIN_ATTITUDE, Decision, Dialogue
from persuade_env.seeding import derive_seed
from user_models.learned.semantic_embedding import TextEncoder

if TYPE_CHECKING:
    from user_models.learned.encoder import TurnEncoder
    from user_models.learned.plausibility import LinearTest

MIN_ACCEPTING_ATTITUDE = 5.5
"""No user accepts below this attitude, in the corpora or here."""
MAX_REFUSING_ATTITUDE = 4.0
"""No user refuses above this attitude, in the corpora or here."""
MAX_STEP = 2.0
"""No turn moves an attitude by more than this (Likert points), in the corpora or here."""

ENDING_FEATURES = ("attitude", "step", "stubbornness", "turn")
"""Inputs of the decision: the attitude after the step, the step, and the turn's number from 1."""


class AttitudePredictor(BaseModel, ABC):
    """Predicts a user's attitude and decision after each persuader turn."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True
    )

    ending_features: tuple[str, ...] = ENDING_FEATURES
    ending_classes: tuple[Literal["continue", "accept", "refuse"], ...]
    ending_weights: tuple[tuple[float, ...], ...]
    """(n_classes, n_ending_features); the softmax of the scores gives the probabilities."""
    ending_intercepts: tuple[float, ...]
    fit: dict[str, float] = {}
    """Goodness of fit on scenarios that were not fitted to."""

    @property
    def draft_test(self) -> LinearTest | None:
        """Tells people's words from the chat model's, to choose among drafts; None without one."""
        return None

    @abstractmethod
    def steps(
        self, dialogues: Sequence[Dialogue], words: TextEncoder, encoder: TurnEncoder
    ) -> np.ndarray:
        """The change of attitude (n,) by the last persuader turn of each dialogue.

        In Likert points, at most `MAX_STEP` either way, and a function of the dialogue alone.

        Args:
            dialogues: each ends with a persuader turn.
            words: static word embeddings.
            encoder: of turns.

        Raises:
            UserModelError: if a scenario has no persona with concerns; see `has_concerns`.
        """

    def attitudes(
        self, dialogues: Sequence[Dialogue], words: TextEncoder, encoder: TurnEncoder
    ) -> list[float]:
        """The attitude after the last persuader turn of each dialogue; see `steps`."""
        steps = self.steps(dialogues, words, encoder)
        return [
            clip_attitude(dialogue.attitude + float(step))
            for dialogue, step in zip(dialogues, steps, strict=True)
        ]

    def decision_probabilities(
        self, attitude: float, step: float, stubbornness: float, turn: int
    ) -> dict[Decision, float]:
        """The probability of each decision.

        Args:
            attitude: after the step, 1 to 7.
            step: of this turn.
            stubbornness: of the persona, 0 to 1.
            turn: number of the persuader's turn, from 1.
        """
        scores = np.asarray(self.ending_weights) @ [attitude, step, stubbornness, turn]
        scores = scores + np.asarray(self.ending_intercepts)
        probabilities = accept_refuse_probabilities(
            scores[None], np.asarray([attitude]), self.ending_classes
        )
        accept, refuse = (float(column[0]) for column in probabilities)
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
        """Attitude and decision after the last persuader turn of each dialogue; see `steps`.

        The attitude is a function of the dialogue; only the decision is drawn.

        Args:
            dialogues: each ends with a persuader turn.
            seeds: of the decisions, one for each dialogue.
            words: static word embeddings.
            encoder: of turns.

        Raises:
            UserModelError: if a scenario has no persona with concerns; see `has_concerns`.
        """
        steps = self.steps(dialogues, words, encoder)
        return [
            self._decide(dialogue, float(step), seed)
            for dialogue, step, seed in zip(dialogues, steps, seeds, strict=True)
        ]

    def _decide(self, dialogue: Dialogue, step: float, seed: int) -> tuple[float, Decision]:
        attitude = clip_attitude(dialogue.attitude + step)
        persona = dialogue.scenario.persona
        stubbornness = persona.stubbornness if persona else 0.5
        probabilities = self.decision_probabilities(
            attitude, step, stubbornness, len(dialogue.persuader_turns)
        )
        uniform = derive_seed(seed, "decision") / 2**63
        if uniform < probabilities[Decision.ACCEPT]:
            return attitude, Decision.ACCEPT
        if uniform < probabilities[Decision.ACCEPT] + probabilities[Decision.REFUSE]:
            return attitude, Decision.REFUSE
        return attitude, Decision.CONTINUE


def accept_refuse_probabilities(
    scores: np.ndarray, attitudes: np.ndarray, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities (n,) of accepting and of refusing.

    Outside the attitudes at which they are possible they are 0, and their share goes to
    `continue`.

    Args:
        scores: logits, (n, n_classes).
        attitudes: after the step, (n,).
        classes: the decision of each column of `scores`.
    """
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    by_class = dict(zip(classes, softmax.T, strict=True))
    zeros = np.zeros(len(scores))
    accept = np.where(attitudes >= MIN_ACCEPTING_ATTITUDE, by_class.get("accept", zeros), 0.0)
    refuse = np.where(attitudes <= MAX_REFUSING_ATTITUDE, by_class.get("refuse", zeros), 0.0)
    return accept, refuse


def clip_attitude(attitude: float) -> float:
    """The attitude within the scale.

    >>> clip_attitude(7.5)
    7.0
    """
    return min(MAX_ATTITUDE, max(MIN_ATTITUDE, attitude))


def row_products(rows: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """The scalar product of each row with the weights, (n,).

    They are computed one by one: a matrix product rounds differently at another number of rows,
    and a dialogue's result must not depend on the batch that it is in.
    """
    column = np.asarray(weights)
    return np.array([row @ column for row in np.ascontiguousarray(rows)])

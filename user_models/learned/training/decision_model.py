"""Fits the decision of a learned user's mind: when it accepts, walks away or goes on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from user_models.learned.attitude_model import clipped, end_shares
from user_models.learned.training.examples import TrainingExample

_SUREST = 2.0
"""Nats by which a decision may be made likelier, or less likely, than the fit says."""


def fit_decision_model(
    real: Sequence[TrainingExample], steps: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Classes, weights (n_classes, 4) and constants (n_classes,) of the decision.

    A multinomial logistic regression on where recorded dialogues would stand, had the attitude
    moved by these steps (n,); then each end is made likelier until it comes as often as recorded.
    """
    from sklearn.linear_model import LogisticRegression

    decisions = [str(one.decision) for one in real]
    ending = LogisticRegression(C=10.0, max_iter=2000)
    inputs = _ending_features(real, steps)
    ending.fit(inputs, decisions)
    coefficients, offsets = ending.coef_, ending.intercept_
    if len(ending.classes_) == 2:  # scikit-learn then keeps the second class's scores alone
        coefficients = np.stack([np.zeros_like(coefficients[0]), coefficients[0]])
        offsets = np.asarray([0.0, offsets[0]])
    classes = [str(one) for one in ending.classes_]
    for place, name in enumerate(classes):
        if name != "continue":
            scores = inputs @ coefficients.T + offsets
            offsets = offsets.copy()
            offsets[place] += scale_odds(name, decisions, scores, inputs[:, 0], classes)
    return classes, coefficients, offsets


def scale_odds(
    name: str,
    decisions: Sequence[str],
    scores: np.ndarray,
    attitudes: np.ndarray,
    classes: Sequence[str],
) -> float:
    """What to add to a decision's scores (n, n_classes) to get it as often as it is recorded.

    People accept and walk away at attitudes that the mind often doesn't reach, and nobody does
    where nobody does, so without this ends were a third as many as recorded.
    """
    from scipy.optimize import brentq

    own = np.asarray(classes) == name
    kind = ("accept", "refuse").index(name)
    recorded = decisions.count(name)

    def surplus(more: float) -> float:
        shares = end_shares(scores + more * own, attitudes, classes)[kind]
        return float(shares.sum()) - recorded

    low, high = -_SUREST, _SUREST
    if surplus(high) <= 0:
        return high
    return low if surplus(low) >= 0 else float(brentq(surplus, low, high))


def _ending_features(real: Sequence[TrainingExample], steps: np.ndarray) -> np.ndarray:
    """`ENDING_FEATURES` along each dialogue, had the attitude moved by these steps; (n, 4)."""
    rows: list[list[float]] = []
    current: tuple[str, str] | None = None
    attitude, turn = 0.0, 0
    for one, step in zip(real, steps, strict=True):
        if (one.scenario, one.dialogue) != current:
            current, attitude, turn = (one.scenario, one.dialogue), one.initial_attitude, 0
        attitude, turn = clipped(attitude + float(step)), turn + 1
        rows.append([attitude, float(step), one.stubbornness, float(turn)])
    return np.asarray(rows)

"""Fits the decision of an attitude model: when the user accepts, refuses or continues."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from user_models.learned.attitude_predictor import (
    ENDING_FEATURES,
    accept_refuse_probabilities,
    clip_attitude,
)
from user_models.learned.training.examples import TrainingExample

_MAX_LOGIT_SHIFT = 2.0
"""Nats by which a decision may be made likelier, or less likely, than the regression says."""


def fit_decision_model(
    examples: Sequence[TrainingExample], steps: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Fits a multinomial logistic regression with calibrated frequencies of each ending.

    The inputs are the attitudes that recorded dialogues would have reached with the predicted
    steps. Afterwards the intercept of each ending is shifted until its expected number is the
    recorded one.

    Args:
        examples: recorded turns, in the order of their dialogues.
        steps: predicted for them, (n,).

    Returns:
        Classes, weights (n_classes, 4) and intercepts (n_classes,).
    """
    from sklearn.linear_model import LogisticRegression

    decisions = [str(example.decision) for example in examples]
    if len(set(decisions)) == 1:
        return decisions[:1], np.zeros((1, len(ENDING_FEATURES))), np.zeros(1)
    regression = LogisticRegression(C=10.0, max_iter=2000)
    inputs = _ending_features(examples, steps)
    regression.fit(inputs, decisions)
    coefficients, intercepts = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # scikit-learn then keeps the second class's scores alone
        coefficients = np.stack([np.zeros_like(coefficients[0]), coefficients[0]])
        intercepts = np.asarray([0.0, intercepts[0]])
    classes = [str(name) for name in regression.classes_]
    for index, name in enumerate(classes):
        if name != "continue":
            scores = inputs @ coefficients.T + intercepts
            intercepts = intercepts.copy()
            intercepts[index] += scale_odds(name, decisions, scores, inputs[:, 0], classes)
    return classes, coefficients, intercepts


def scale_odds(
    name: str,
    decisions: Sequence[str],
    scores: np.ndarray,
    attitudes: np.ndarray,
    classes: Sequence[str],
) -> float:
    """The shift of an ending's logit that makes its expected number the recorded one.

    Predicted attitudes reach the range in which endings are possible less often than recorded ones
    do, so that without a shift there would be too few endings.

    Args:
        name: `accept` or `refuse`.
        decisions: the recorded ones.
        scores: logits, (n, n_classes).
        attitudes: after the predicted steps, (n,).
        classes: the decision of each column of `scores`.

    Returns:
        At most `_MAX_LOGIT_SHIFT` either way.
    """
    from scipy.optimize import brentq

    column = np.asarray(classes) == name
    kind = ("accept", "refuse").index(name)
    recorded = decisions.count(name)

    def surplus(shift: float) -> float:
        probabilities = accept_refuse_probabilities(scores + shift * column, attitudes, classes)
        return float(probabilities[kind].sum()) - recorded

    low, high = -_MAX_LOGIT_SHIFT, _MAX_LOGIT_SHIFT
    if surplus(high) <= 0:
        return high
    return low if surplus(low) >= 0 else float(brentq(surplus, low, high))


def _ending_features(examples: Sequence[TrainingExample], steps: np.ndarray) -> np.ndarray:
    """`ENDING_FEATURES` along each dialogue with these steps, (n, 4)."""
    rows: list[list[float]] = []
    current: tuple[str, str] | None = None
    attitude, turn = 0.0, 0
    for example, step in zip(examples, steps, strict=True):
        if (example.scenario, example.dialogue) != current:
            current = (example.scenario, example.dialogue)
            attitude, turn = example.initial_attitude, 0
        attitude, turn = clip_attitude(attitude + float(step)), turn + 1
        rows.append([attitude, float(step), example.stubbornness, float(turn)])
    return np.asarray(rows)

"""Measures of outcomes: a user model's final attitudes against what people then did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.common.bootstrap import clustered_mean, clustered_ratio, clustered_statistic
from experiments.common.measures import Measure, ReliabilityBin, ReportSection
from experiments.common.text_classifier import clustered_auc, text_auc
from experiments.fidelity.probes.replay import ReplayedDialogue
from persuade_env.dialogue import MAX_ATTITUDE, MIN_ATTITUDE, Decision

MAX_DEPTH_BIAS = 0.40
"""Likert points by which the attitude of people who did not do it may rise."""
CALIBRATION_BINS = 10
_FOLDS = 5


def outcome_section(
    dialogues: Sequence[ReplayedDialogue], rng: np.random.Generator
) -> ReportSection:
    """Discrimination, calibration and bias of the attitude after the last turn.

    An attitude a is read as the probability (a - 1) / 6; recalibrated, as the cross-validated
    prediction of a logistic regression on it. For comparison with its AUC there is that of the
    person's own words (TF-IDF), which is how much could be known. The calibration error is the
    expected one (ECE) over equal bins, which is above 0 by chance alone. The depth bias is the rise
    of the attitude over a whole dialogue, in Likert points, among people who did not do it.
    """
    n = len(dialogues)
    clusters = [dialogue.scenario for dialogue in dialogues]
    labels = np.asarray([dialogue.outcome_label for dialogue in dialogues], float)
    predicted = np.asarray([(dialogue.attitude - MIN_ATTITUDE) for dialogue in dialogues]) / (
        MAX_ATTITUDE - MIN_ATTITUDE
    )
    auc = clustered_auc(labels, predicted, clusters, rng)
    texts = [dialogue.persuadee_text for dialogue in dialogues]
    words_auc = text_auc(texts, labels, clusters, rng)
    measures = [
        Measure("outcomes", "AUC of the last attitude", auc, n, "above 0.5", auc.low > 0.5),
        Measure("outcomes", "AUC of the person's words", words_auc, n),
    ]
    for name, probabilities in (
        ("calibration error", predicted),
        ("calibration error, recalibrated", _recalibrated(predicted, labels, clusters)),
    ):

        def error(rows: np.ndarray, probabilities: np.ndarray = probabilities) -> float:
            return calibration_error(probabilities[rows], labels[rows])

        measures.append(Measure("outcomes", name, clustered_statistic(error, clusters, rng), n))
    negatives = [dialogue for dialogue in dialogues if not dialogue.outcome_label]
    rises = [dialogue.attitude - dialogue.initial_attitude for dialogue in negatives]
    bias = clustered_mean(rises, [dialogue.scenario for dialogue in negatives], rng)
    accepts = [float(dialogue.decision is Decision.ACCEPT) for dialogue in dialogues]
    true_accepts = [accept * label for accept, label in zip(accepts, labels.tolist(), strict=True)]
    measures += [
        Measure(
            "outcomes",
            "depth bias: rise of those who didn't",
            bias,
            len(rises),
            f"below {MAX_DEPTH_BIAS:.2f}",
            bias.high < MAX_DEPTH_BIAS,
        ),
        Measure("outcomes", "did it, people", clustered_mean(labels.tolist(), clusters, rng), n),
        Measure("outcomes", "accepts, model", clustered_mean(accepts, clusters, rng), n),
        Measure(
            "outcomes",
            "did it, where the model accepts",
            clustered_ratio(true_accepts, accepts, clusters, rng),
            int(sum(accepts)),
        ),
    ]
    bins = reliability(predicted, labels, clusters, rng)
    return ReportSection(tuple(measures), reliability=tuple(bins))


def enough_outcomes(dialogues: Sequence[ReplayedDialogue]) -> bool:
    """Whether there are enough dialogues of each outcome for every fold to have one."""
    positives = sum(dialogue.outcome_label for dialogue in dialogues)
    return min(positives, len(dialogues) - positives) >= _FOLDS


def _recalibrated(predicted: np.ndarray, labels: np.ndarray, clusters: Sequence[str]) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    model: Any = LogisticRegression(C=100.0)
    folds = StratifiedGroupKFold(_FOLDS)
    return np.asarray(
        cross_val_predict(
            model, predicted[:, None], labels, cv=folds, groups=clusters, method="predict_proba"
        )[:, 1]
    )


def _bin_indices(probabilities: np.ndarray) -> np.ndarray:
    return np.minimum((probabilities * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error over equal bins (Guo et al., 2017), 0 to 1.

    >>> calibration_error(np.full(2, 0.5), np.array([0.0, 1.0]))
    0.0

    Args:
        probabilities: predicted, (n,).
        labels: 0 or 1, (n,).
    """
    index = _bin_indices(probabilities)
    gaps = np.bincount(index, weights=labels - probabilities, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def reliability(
    probabilities: np.ndarray,
    labels: np.ndarray,
    clusters: Sequence[str],
    rng: np.random.Generator,
) -> list[ReliabilityBin]:
    """The points of a reliability diagram, one for each bin with predictions in it."""
    index = _bin_indices(probabilities)
    points = []
    for bin_number in sorted(set(index.tolist())):
        rows = np.flatnonzero(index == bin_number)
        observed = clustered_mean(labels[rows].tolist(), [clusters[int(row)] for row in rows], rng)
        points.append(ReliabilityBin(float(probabilities[rows].mean()), observed, len(rows)))
    return points

"""Outcomes, a part of the fidelity card: a user model's attitudes against what people then did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.common.bootstrap import clustered_mean, clustered_ratio, clustered_statistic
from experiments.common.measures import Measure, ReliabilityBin, ReportSection
from experiments.common.text_classifier import clustered_auc, text_auc
from experiments.fidelity.probes.replay import ReplayedDialogue
from persuade_env.dialogue import MAX_ATTITUDE, MIN_ATTITUDE, Decision

DEPTH_BIAS = 0.40
"""Likert points that non-givers may rise by over a whole dialogue."""
CALIBRATION_BINS = 10
_FOLDS = 5


def outcomes_part(found: Sequence[ReplayedDialogue], rng: np.random.Generator) -> ReportSection:
    """The attitude after the last turn against what the person did.

    As a probability the attitude a is (a - 1) / 6; recalibrated, a logistic regression on it,
    cross-validated. Beside its AUC stands what the person's own words tell, by TF-IDF: what could
    be known. A calibration error is the expected one (ECE) over equal bins, which is above zero by
    chance alone. Depth bias is in Likert points over a whole dialogue, among those who did not do
    it.
    """
    n = len(found)
    clusters = [one.scenario for one in found]
    did = np.asarray([one.did for one in found], float)
    said = np.asarray([(one.attitude - MIN_ATTITUDE) for one in found]) / (
        MAX_ATTITUDE - MIN_ATTITUDE
    )
    auc = clustered_auc(did, said, clusters, rng)
    words = text_auc([one.words for one in found], did, clusters, rng)
    measures = [
        Measure("outcomes", "AUC of the last attitude", auc, n, "above 0.5", auc.low > 0.5),
        Measure("outcomes", "AUC of the person's words", words, n),
    ]
    for name, chances in (
        ("calibration error", said),
        ("calibration error, recalibrated", _recalibrated(said, did, clusters)),
    ):

        def error(rows: np.ndarray, chances: np.ndarray = chances) -> float:
            return calibration_error(chances[rows], did[rows])

        measures.append(Measure("outcomes", name, clustered_statistic(error, clusters, rng), n))
    rises = [one.attitude - one.initial_attitude for one in found if not one.did]
    bias = clustered_mean(rises, [one.scenario for one in found if not one.did], rng)
    accepts = [float(one.decision is Decision.ACCEPT) for one in found]
    both = [yes * gave for yes, gave in zip(accepts, did.tolist(), strict=True)]
    measures += [
        Measure(
            "outcomes",
            "depth bias: rise of those who didn't",
            bias,
            len(rises),
            f"below {DEPTH_BIAS:.2f}",
            bias.high < DEPTH_BIAS,
        ),
        Measure("outcomes", "did it, people", clustered_mean(did.tolist(), clusters, rng), n),
        Measure("outcomes", "accepts, model", clustered_mean(accepts, clusters, rng), n),
        Measure(
            "outcomes",
            "did it, where the model accepts",
            clustered_ratio(both, accepts, clusters, rng),
            int(sum(accepts)),
        ),
    ]
    return ReportSection(tuple(measures), reliability=tuple(reliability(said, did, clusters, rng)))


def enough(found: Sequence[ReplayedDialogue]) -> bool:
    """Whether there are some of both outcomes in each fold."""
    did = sum(one.did for one in found)
    return min(did, len(found) - did) >= _FOLDS


def _recalibrated(said: np.ndarray, did: np.ndarray, clusters: Sequence[str]) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    model: Any = LogisticRegression(C=100.0)
    folds = StratifiedGroupKFold(_FOLDS)
    return np.asarray(
        cross_val_predict(
            model, said[:, None], did, cv=folds, groups=clusters, method="predict_proba"
        )[:, 1]
    )


def _calibration_bin(chances: np.ndarray) -> np.ndarray:
    return np.minimum((chances * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)


def calibration_error(chances: np.ndarray, did: np.ndarray) -> float:
    """Expected calibration error over equal bins (Guo et al., 2017), 0 to 1."""
    index = _calibration_bin(chances)
    gaps = np.bincount(index, weights=did - chances, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(did))


def reliability(
    chances: np.ndarray, did: np.ndarray, clusters: Sequence[str], rng: np.random.Generator
) -> list[ReliabilityBin]:
    """What a reliability diagram shows: how many did it, by how likely that was said to be."""
    index = _calibration_bin(chances)
    found = []
    for one in sorted(set(index.tolist())):
        rows = np.flatnonzero(index == one)
        observed = clustered_mean(did[rows].tolist(), [clusters[int(row)] for row in rows], rng)
        found.append(ReliabilityBin(float(chances[rows].mean()), observed, len(rows)))
    return found

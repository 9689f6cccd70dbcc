"""Two-sample test of texts: the AUC of a logistic regression on TF-IDF features."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_statistic

_FOLDS = 5


def text_auc(
    texts: Sequence[str], labels: np.ndarray, clusters: Sequence[str], rng: np.random.Generator
) -> Estimate:
    """Cross-validated AUC of a logistic regression on TF-IDF of words and characters.

    Args:
        texts: of both kinds.
        labels: 0 or 1 for each text, (n,).
        clusters: the scenario of each text, which is wholly in one fold.
        rng: draws the resamples of the interval.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline, make_union

    classifier = make_pipeline(
        make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+"),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True),
        ),
        LogisticRegression(C=10.0, max_iter=2000),
    )
    scores = cross_val_predict(
        classifier,
        list(texts),
        labels,
        cv=GroupKFold(min(_FOLDS, len(set(clusters)))),
        groups=list(clusters),
        method="predict_proba",
    )[:, 1]
    return clustered_auc(labels, scores, clusters, rng)


def clustered_auc(
    labels: np.ndarray, scores: np.ndarray, clusters: Sequence[str], rng: np.random.Generator
) -> Estimate:
    """Area under the ROC curve with a cluster-bootstrap interval.

    Args:
        labels: 0 or 1, (n,).
        scores: (n,); higher for label 1.
        clusters: the scenario of each row.
        rng: draws the resamples.
    """
    from sklearn.metrics import roc_auc_score

    def auc(rows: np.ndarray) -> float:
        if len(set(labels[rows])) < 2:
            return math.nan
        return float(roc_auc_score(labels[rows], scores[rows]))

    return clustered_statistic(auc, clusters, rng)

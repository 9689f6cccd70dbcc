"""How well a plain classifier of words tells two kinds of texts apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_statistic

_FOLDS = 5


def text_auc(
    texts: Sequence[str], labels: np.ndarray, clusters: Sequence[str], rng: np.random.Generator
) -> Estimate:
    """AUC of texts' TF-IDF in a logistic regression, folds by cluster."""
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
    """Area under the curve of scores for labels 0 and 1, with a cluster-bootstrap interval."""
    from sklearn.metrics import roc_auc_score

    def auc(rows: np.ndarray) -> float:
        if len(set(labels[rows])) < 2:
            return math.nan
        return float(roc_auc_score(labels[rows], scores[rows]))

    return clustered_statistic(auc, clusters, rng)

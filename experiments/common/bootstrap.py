"""Estimates with 95 % bootstrap intervals, clustered by scenario.

Episodes of one scenario resemble each other, so whole scenarios are resampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; the bounds are NaN where there are fewer than two clusters.

    >>> str(Estimate(0.5, 0.25, 0.75))
    '0.50 [0.25, 0.75]'
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "–"
        if math.isnan(self.low):
            return f"{self.value:.2f}"
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def clustered_ratio(
    numerators: Sequence[float],
    denominators: Sequence[float],
    clusters: Sequence[str],
    rng: np.random.Generator,
) -> Estimate:
    """Sum of numerators over sum of denominators, bootstrapped by cluster (percentile method).

    Args:
        numerators: one value per observation.
        denominators: one value per observation; 1 for each gives a mean.
        clusters: the scenario of each observation.
        rng: draws the resamples.
    """
    from scipy.stats import bootstrap

    if len(numerators) == 0 or sum(denominators) == 0:
        return Estimate(math.nan, math.nan, math.nan)
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    top = np.bincount(index, weights=np.asarray(numerators, float))
    bottom = np.bincount(index, weights=np.asarray(denominators, float))
    value = float(top.sum() / bottom.sum())
    if len(top) < 2:
        return Estimate(value, math.nan, math.nan)

    def ratio(rows: np.ndarray, axis: int = -1) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return top[rows].sum(axis=axis) / bottom[rows].sum(axis=axis)

    interval = bootstrap(
        (np.arange(len(top)),),
        ratio,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=True,
        rng=rng,
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))


def clustered_statistic(
    statistic: Callable[[np.ndarray], float], clusters: Sequence[str], rng: np.random.Generator
) -> Estimate:
    """A statistic with a cluster-bootstrap interval (percentile method).

    Args:
        statistic: a function of the indices (n,) of the observations to use; resamples for which it
            is NaN are left out.
        clusters: the scenario of each observation.
        rng: draws the resamples.
    """
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    value = statistic(np.arange(len(index)))
    if len(names) < 2:
        return Estimate(value, math.nan, math.nan)
    rows_of = [np.flatnonzero(index == cluster) for cluster in range(len(names))]
    resamples = rng.integers(len(names), size=(RESAMPLES // 4, len(names)))
    values = [
        statistic(np.concatenate([rows_of[cluster] for cluster in resample]))
        for resample in resamples
    ]
    defined = [value for value in values if not math.isnan(value)]
    if not defined:
        return Estimate(value, math.nan, math.nan)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(defined, [tail, 100 - tail])
    return Estimate(value, float(low), float(high))


def clustered_mean(
    values: Sequence[float], clusters: Sequence[str], rng: np.random.Generator
) -> Estimate:
    """Mean of the values with a cluster-bootstrap interval."""
    return clustered_ratio(values, [1.0] * len(values), clusters, rng)


def crossed_mean(table: np.ndarray, rng: np.random.Generator) -> Estimate:
    """The mean of a table with an interval over both rows and columns.

    Rows and columns are resampled independently (Owen, "The pigeonhole bootstrap", 2007). With
    three seeds the interval is rough; with one it is of scenarios alone.

    Args:
        table: (n_seeds, n_scenarios); NaN cells are left out.
        rng: draws the resamples.

    Returns:
        The estimate; its bounds are NaN where there are fewer than two scenarios.
    """
    n_seeds, n_scenarios = table.shape
    if n_scenarios < 2:
        return Estimate(mean_of_known(table.ravel()), math.nan, math.nan)
    values = []
    for _ in range(RESAMPLES):
        rows = rng.integers(n_seeds, size=n_seeds)
        columns = rng.integers(n_scenarios, size=n_scenarios)
        values.append(mean_of_known(table[np.ix_(rows, columns)].ravel()))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return Estimate(mean_of_known(table.ravel()), float(low), float(high))


def mean_of_known(values: Sequence[float] | np.ndarray) -> float:
    """The mean of the values that are not NaN; NaN if all are.

    >>> mean_of_known([1.0, math.nan, 2.0])
    1.5
    """
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else math.nan

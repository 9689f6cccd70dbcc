"""Estimates with 95 % bootstrap intervals, clustered by scenario.

Episodes of one scenario resemble each other, so they are resampled together: the
scenario is the unit that could have been another one.
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
    """A mean or ratio with its interval. NaN bounds where fewer than two scenarios speak."""

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
        numerators, denominators: one value per observation; denominators of 1 give a mean.
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
    """Any statistic with a cluster-bootstrap interval (percentile method).

    Args:
        statistic: of the observations at these indices, (n,); may be NaN for a resample in which
            it is not defined, which is then left out.
        clusters: the scenario of each observation.
        rng: draws the resamples.
    """
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    value = statistic(np.arange(len(index)))
    if len(names) < 2:
        return Estimate(value, math.nan, math.nan)
    ensemble_members = [np.flatnonzero(index == cluster) for cluster in range(len(names))]
    drawn = rng.integers(len(names), size=(RESAMPLES // 4, len(names)))
    values = [statistic(np.concatenate([ensemble_members[one] for one in draw])) for draw in drawn]
    defined = [one for one in values if not math.isnan(one)]
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
    """The mean of a table (seeds, scenarios) whose rows and columns could both have been others.

    Rows and columns are resampled together (Owen, "The pigeonhole bootstrap", 2007). With three
    seeds such an interval is rough, but not blind to them; with one it is of scenarios alone. NaN
    cells are left out, and bounds are NaN where there are fewer than two scenarios.
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
    """The mean of what is not NaN; NaN where all is."""
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else math.nan

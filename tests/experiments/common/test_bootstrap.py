"""Intervals cluster by scenario and agree with closed forms."""

import math

import numpy as np
import pytest

from experiments.common.bootstrap import (
    Estimate,
    clustered_mean,
    clustered_ratio,
    clustered_statistic,
)
from persuade_env.seeding import generator


def rng():
    return np.random.default_rng(0)


def test_the_mean_and_its_interval_where_clusters_are_single_values():
    values = list(np.random.default_rng(1).normal(2.0, 1.0, 400))
    estimate = clustered_mean(values, [str(i) for i in range(400)], rng())
    half = 1.96 * np.std(values) / math.sqrt(400)
    assert estimate.value == pytest.approx(np.mean(values))
    assert estimate.low == pytest.approx(np.mean(values) - half, abs=0.02)
    assert estimate.high == pytest.approx(np.mean(values) + half, abs=0.02)


def test_copies_within_a_scenario_are_no_new_evidence():
    values = list(np.random.default_rng(2).normal(0.0, 1.0, 30))
    names = [str(i) for i in range(30)]
    once = clustered_mean(values, names, rng())
    ten_times = clustered_mean(values * 10, names * 10, rng())
    assert ten_times.high - ten_times.low == pytest.approx(once.high - once.low, rel=1e-9)


def test_a_ratio_is_of_sums_and_not_a_mean_of_ratios():
    assert clustered_ratio([1, 9], [1, 3], ["a", "b"], rng()).value == 2.5


def test_what_is_unknown_is_nan():
    assert math.isnan(clustered_mean([], [], rng()).value)
    single = clustered_mean([1, 0], ["a", "a"], rng())
    assert single.value == 0.5
    assert math.isnan(single.low)
    assert str(Estimate(math.nan, math.nan, math.nan)) == "–"


def test_a_clustered_statistic_covers_the_truth():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(60):
        effects = rng.normal(size=20)
        values = np.repeat(effects, 3) + rng.normal(scale=0.3, size=60)
        estimate = clustered_statistic(
            lambda rows, values=values: float(np.median(values[rows])),
            [str(k) for k in np.repeat(np.arange(20), 3)],
            generator(trial),
        )
        covered += estimate.low <= 0.0 <= estimate.high
    assert 50 <= covered <= 60
    alone = clustered_statistic(lambda rows: 1.0, ["a", "a"], generator(0))
    assert alone.value == 1.0
    assert math.isnan(alone.low)

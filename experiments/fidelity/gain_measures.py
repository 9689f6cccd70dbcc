"""Measures that compare gains of attitude within scenarios."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_mean
from experiments.common.measures import Measure
from experiments.fidelity.probes.scripted import Gain


def mean_gain(test: str, measure: str, gains: Sequence[Gain], rng: np.random.Generator) -> Measure:
    """The mean of the gains at which the user model did not fail."""
    valid = [(gain.scenario, gain.value) for gain in gains if gain.value is not None]
    mean = clustered_mean([value for _, value in valid], [name for name, _ in valid], rng)
    return Measure(test, measure, mean, len(valid))


def below_baseline(
    test: str, name: str, gains: Sequence[Gain], baseline: Sequence[Gain], rng: np.random.Generator
) -> Measure:
    """The mean difference within scenarios; passes if its interval is below 0."""
    difference, n = paired_difference(gains, baseline, rng)
    return Measure(test, name, difference, n, "below 0", difference.high < 0)


def above_baseline(
    test: str, name: str, gains: Sequence[Gain], baseline: Sequence[Gain], rng: np.random.Generator
) -> Measure:
    """The mean difference within scenarios; passes if its interval is above 0."""
    difference, n = paired_difference(gains, baseline, rng)
    return Measure(test, name, difference, n, "above 0", difference.low > 0)


def at_most(test: str, name: str, estimate: Estimate, n: int, limit: float) -> Measure:
    """An estimate; passes if its value is at most a limit.

    >>> at_most("traits", "trait over seed", point_estimate(0.25), 4, 0.05).passed
    False
    """
    return Measure(test, name, estimate, n, f"at most {limit}", estimate.value <= limit)


def point_estimate(value: float) -> Estimate:
    """A value without an interval.

    >>> str(point_estimate(2))
    '2.00'
    """
    return Estimate(float(value), math.nan, math.nan)


def paired_difference(
    gains: Sequence[Gain], baseline: Sequence[Gain], rng: np.random.Generator
) -> tuple[Estimate, int]:
    """Mean difference to the baseline in the same scenarios, and the number of pairs."""
    pairs = paired_values(gains, baseline)
    differences = [value - other for _, value, other in pairs]
    return clustered_mean(differences, [name for name, *_ in pairs], rng), len(pairs)


def paired_values(
    gains: Sequence[Gain], baseline: Sequence[Gain]
) -> list[tuple[str, float, float]]:
    """Scenario, gain and the baseline's gain, wherever neither failed.

    >>> paired_values([Gain("a", 1.0), Gain("b", None)], [Gain("a", 0.5), Gain("b", 0.5)])
    [('a', 1.0, 0.5)]
    """
    values = {gain.scenario: gain.value for gain in baseline}
    return [
        (gain.scenario, gain.value, other)
        for gain in gains
        if gain.value is not None and (other := values.get(gain.scenario)) is not None
    ]

"""Lines of a card that compare gains within scenarios."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_mean
from experiments.common.measures import Measure
from experiments.fidelity.probes.scripted import Gain


def mean_gain(test: str, measure: str, gains: Sequence[Gain], rng: np.random.Generator) -> Measure:
    """The mean of the gains whose user model did not fail."""
    valid = [(one.scenario, one.value) for one in gains if one.value is not None]
    mean = clustered_mean([value for _, value in valid], [name for name, _ in valid], rng)
    return Measure(test, measure, mean, len(valid))


def less(
    test: str, name: str, gains: Sequence[Gain], baseline: Sequence[Gain], rng: np.random.Generator
) -> Measure:
    """The mean difference within scenarios, and that its interval is below 0."""
    excess, n = paired(gains, baseline, rng)
    return Measure(test, name, excess, n, "below 0", excess.high < 0)


def more(
    test: str, name: str, gains: Sequence[Gain], baseline: Sequence[Gain], rng: np.random.Generator
) -> Measure:
    """The mean difference within scenarios, and that its interval is above 0."""
    excess, n = paired(gains, baseline, rng)
    return Measure(test, name, excess, n, "above 0", excess.low > 0)


def at_most(test: str, name: str, found: Estimate, n: int, limit: float) -> Measure:
    """A value, and that it is no larger than a published or chosen one."""
    return Measure(test, name, found, n, f"at most {limit}", found.value <= limit)


def plain(value: float) -> Estimate:
    """A value without an interval."""
    return Estimate(float(value), math.nan, math.nan)


def paired(
    gains: Sequence[Gain], baseline: Sequence[Gain], rng: np.random.Generator
) -> tuple[Estimate, int]:
    """Mean difference to the baseline in the same scenarios, and the number of pairs."""
    pairs = pairs_of(gains, baseline)
    differences = [value - other for _, value, other in pairs]
    return clustered_mean(differences, [name for name, *_ in pairs], rng), len(pairs)


def pairs_of(gains: Sequence[Gain], baseline: Sequence[Gain]) -> list[tuple[str, float, float]]:
    """Scenario, gain and the baseline's gain, wherever neither failed."""
    before = {one.scenario: one.value for one in baseline}
    return [
        (one.scenario, one.value, other)
        for one in gains
        if one.value is not None and (other := before.get(one.scenario)) is not None
    ]

"""Queries of a judge about pairs of dialogues in both orders, and the win rate of the verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_mean
from experiments.common.measures import Measure
from persuade_env.dialogue import Dialogue
from persuade_env.protocols import Judge, Verdict

Pair = tuple[Dialogue, Dialogue]
Progress = Callable[[str, int], None]
"""Called with the test and the number of verdicts just obtained."""

POINTS = {Verdict.FIRST: 1.0, Verdict.TIE: 0.5, Verdict.SECOND: 0.0}
"""Points of the first dialogue for a verdict."""

_EXCHANGED = {
    Verdict.FIRST: Verdict.SECOND,
    Verdict.SECOND: Verdict.FIRST,
    Verdict.TIE: Verdict.TIE,
    Verdict.FAILED: Verdict.FAILED,
}


@dataclass(frozen=True)
class JudgedPair:
    """The verdicts on a pair of dialogues in both orders.

    >>> JudgedPair("art-001", forward=Verdict.FIRST, backward=Verdict.FIRST).win
    0.5
    """

    scenario: str
    forward: Verdict
    backward: Verdict

    @property
    def failed(self) -> bool:
        """Whether the judge failed in either order."""
        return Verdict.FAILED in (self.forward, self.backward)

    @property
    def win(self) -> float:
        """The first dialogue's mean points, 0 to 1."""
        return (POINTS[self.forward] + 1 - POINTS[self.backward]) / 2

    @property
    def consistent(self) -> bool:
        """Whether both orders have the same result."""
        return _EXCHANGED[self.forward] is self.backward


class PairQueries:
    """Queries a judge about pairs in both orders, and counts its failures.

    >>> from persuade_env.judges.attitude import AttitudeJudge
    >>> PairQueries(AttitudeJudge(), lambda test, count: None)("order", [])
    []

    Args:
        judge: to query.
        progress: called after each test's queries.
    """

    def __init__(self, judge: Judge, progress: Progress) -> None:
        self.judge, self.progress = judge, progress
        self.n_queries = self.n_failed = 0

    def __call__(self, test: str, pairs: Sequence[tuple[str, Pair]]) -> list[JudgedPair]:
        """The judged pairs.

        Args:
            test: for the progress.
            pairs: the scenario and the two dialogues of each.
        """
        forward = self.judge.compare([pair for _, pair in pairs])
        backward = self.judge.compare([(second, first) for _, (first, second) in pairs])
        self.progress(test, 2 * len(pairs))
        self.n_queries += 2 * len(pairs)
        self.n_failed += sum(verdict is Verdict.FAILED for verdict in (*forward, *backward))
        return [
            JudgedPair(scenario, one_way, other_way)
            for (scenario, _), one_way, other_way in zip(pairs, forward, backward, strict=True)
        ]

    def failures(self) -> Measure:
        """The share of failed verdicts among all so far."""
        share = Estimate(self.n_failed / self.n_queries, math.nan, math.nan)
        return Measure("failures", "verdicts without a winner", share, self.n_queries)


def win_rate(judged: Iterable[JudgedPair], rng: np.random.Generator) -> tuple[Estimate, int]:
    """The first dialogues' mean points and the number of pairs; failed pairs are left out."""
    valid = [pair for pair in judged if not pair.failed]
    scenarios = [pair.scenario for pair in valid]
    return clustered_mean([pair.win for pair in valid], scenarios, rng), len(valid)

"""A judge that compares outcomes and final attitudes, and order-consistent scores of any judge."""

from __future__ import annotations

import math
from collections.abc import Sequence

from persuade_env.dialogue import Dialogue, Outcome
from persuade_env.protocols import Judge, Verdict

_RANK = {Outcome.REFUSED: 0, Outcome.UNDECIDED: 1, Outcome.ACCEPTED: 2}


class AttitudeJudge:
    """Prefers the better outcome, then the higher final attitude of the persuadee.

    It reads the attitudes that the user model reported, so it is as valid as the user model.

    >>> from persuade_env.dialogue import PersuadeeTurn, Scenario
    >>> scenario = Scenario(id="a", domain="Leisure", background="Two neighbours talk.",
    ...     persuader="Ana", persuadee="Bo", goal="persuade Bo to come camping")
    >>> high, low = (Dialogue(scenario=scenario, turns=(PersuadeeTurn(attitude=a, response="Hm."),))
    ...     for a in (5.0, 2.0))
    >>> AttitudeJudge().compare([(high, low), (low, high)])
    [<Verdict.FIRST: 'first'>, <Verdict.SECOND: 'second'>]

    Args:
        tie_band: attitudes closer than this (Likert points) are a tie.
    """

    name = "attitude"

    def __init__(self, tie_band: float = 0.1) -> None:
        self.tie_band = tie_band

    def compare(self, pairs: Sequence[tuple[Dialogue, Dialogue]]) -> list[Verdict]:
        """See `Judge.compare`."""
        return [self._compare(first, second) for first, second in pairs]

    def _compare(self, first: Dialogue, second: Dialogue) -> Verdict:
        difference = float(_RANK[first.outcome] - _RANK[second.outcome])
        if difference == 0.0:
            difference = first.attitude - second.attitude
            if abs(difference) < self.tie_band:
                return Verdict.TIE
        return Verdict.FIRST if difference > 0 else Verdict.SECOND


def scores(judge: Judge, pairs: Sequence[tuple[Dialogue, Dialogue]]) -> list[float]:
    """Preference for the first dialogue of each pair, averaged over both orders of presentation.

    Args:
        judge: asked twice about each pair, once with the dialogues exchanged.
        pairs: two dialogues of the same scenario each.

    Returns:
        For each pair 1 (first wins in both orders) to -1 (second wins in both); 0 for ties
        and for verdicts that follow the order; NaN where the judge failed in either order.
    """
    forward = judge.compare(pairs)
    backward = judge.compare([(second, first) for first, second in pairs])
    value = {
        Verdict.FIRST: 1.0,
        Verdict.TIE: 0.0,
        Verdict.SECOND: -1.0,
        Verdict.FAILED: math.nan,
    }
    return [(value[a] - value[b]) / 2 for a, b in zip(forward, backward, strict=True)]

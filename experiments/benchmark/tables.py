"""The benchmark's rows for people: what is shown of a metric, and in which order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from experiments.benchmark.summary import Row
from experiments.common.bootstrap import Estimate
from experiments.common.table import Column, DataTable

HEADINGS = {
    "success": "success",
    "attitude_gain": "attitude gain",
    "return": "return",
    "win_rate": "win rate",
    "unjudged": "unjudged",
    "refused": "refused",
    "turns": "turns",
    "words": "words/turn",
    "distinct_2": "distinct-2",
    "found": "found",
    "repeats": "repeats",
    "malformed": "malformed",
    "misconduct": "misconduct",
    "invalid": "invalid",
    "tokens": "tokens",
}
"""Metrics in the order they are shown, and their headings."""

_BY_IMPORTANCE = (
    "attitude_gain", "success", "return", "win_rate", "refused", "misconduct", "invalid", "words",
    "malformed", "turns", "found", "repeats", "distinct_2", "unjudged", "tokens",
)  # fmt: skip
"""Where a terminal is narrow, the last of these are left out first."""
_SECONDS = "s/dialogue"


def show(estimate: Estimate, name: str) -> str:
    """A value with its interval, in the precision that suits the metric."""
    digits = {"tokens": 0, "words": 1, "turns": 1}.get(name, 2)
    if math.isnan(estimate.value):
        return "–"
    value = f"{estimate.value:.{digits}f}"
    if math.isnan(estimate.low):
        return value
    return f"{value} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def judged_by(rows: Sequence[Row]) -> str:
    """The sentence that names the judge of the rows' win rates; empty where there are none."""
    judges = dict.fromkeys((row.baseline, row.judge) for row in rows if row.baseline)
    return "; ".join(f"win rate: against {name}, judged by {judge}" for name, judge in judges)


def benchmark_table(rows: Sequence[Row], seconds: Mapping[str, float]) -> DataTable:
    """The rows with every metric.

    Args:
        rows: of one benchmark.
        seconds: per dialogue, by `AGENT--USER_MODEL` (`load_seconds`).
    """
    names = [name for name in HEADINGS if all(name in row.metrics for row in rows)]
    columns = [
        Column("user model", left=True),
        Column("agent", left=True),
        Column("n", rank=1),
        *(Column(HEADINGS[name], rank=2 + _BY_IMPORTANCE.index(name)) for name in names),
        Column(_SECONDS, rank=len(_BY_IMPORTANCE) + 2),
    ]
    cells = []
    for row in rows:
        time = seconds.get(f"{row.agent}--{row.user_model}", math.nan)
        metrics = [show(row.metrics[name], name) for name in names]
        cells.append([row.user_model, row.agent, str(row.n), *metrics, _time(time)])
    notes = ["95 % intervals, bootstrapped by scenario; n counts valid dialogues"]
    if judges := judged_by(rows):
        notes.append(judges)
    notes += [
        f"{row.n_invalid} of {row.n + row.n_invalid} dialogues of {row.agent} with "
        f"{row.user_model} are invalid: {row.error}"
        for row in rows
        if row.n_invalid
    ]
    return DataTable(columns, cells, notes, [row.user_model for row in rows])


def _time(seconds: float) -> str:
    return "–" if math.isnan(seconds) else f"{seconds:.1f}"

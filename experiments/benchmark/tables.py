"""The benchmark's rows for people: in the terminal, and as Markdown for a README."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from experiments.benchmark.dialogues import Row
from experiments.common.bootstrap import Estimate

HEADINGS = {
    "success": "success",
    "attitude_gain": "attitude gain",
    "win_rate": "win rate",
    "unjudged": "unjudged",
    "refused": "refused",
    "turns": "turns",
    "words": "words/turn",
    "distinct_2": "distinct-2",
    "malformed": "malformed",
    "misconduct": "misconduct",
    "invalid": "invalid",
    "tokens": "tokens",
}
"""Metrics in the order they are shown, and their headings."""

_NARROW = ("success", "attitude_gain", "win_rate", "refused", "malformed")


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


def terminal_table(
    rows: Sequence[Row], seconds: Mapping[str, float], *, wide: bool = False
) -> Table:
    """The rows for a terminal; with `wide`, every metric.

    Args:
        seconds: per dialogue, by `AGENT--USER_MODEL`
        (`experiments.benchmark.dialogues.load_seconds`).
    """
    names = [
        name
        for name in HEADINGS
        if (wide or name in _NARROW) and all(name in row.metrics for row in rows)
    ]
    caption = "95 % intervals, bootstrapped by scenario\n" + judged_by(rows)
    table = Table(caption=escape(caption.strip()), caption_justify="left")
    for heading in ("user model", "agent"):
        table.add_column(heading, no_wrap=True)
    table.add_column("n", justify="right")
    for name in names:
        table.add_column(HEADINGS[name], justify="right", no_wrap=True)
    table.add_column("s/dialogue", justify="right")
    last = None
    for row in rows:
        if last not in (None, row.user_model):
            table.add_section()
        last = row.user_model
        cells = [show(row.metrics[name], name) for name in names]
        time = f"{seconds.get(f'{row.agent}--{row.user_model}', math.nan):.1f}"
        table.add_row(row.user_model, row.agent, str(row.n), *cells, time)
    return table


def markdown_table(rows: Sequence[Row]) -> str:
    """The same rows in Markdown."""
    names = list(_NARROW)
    headings = ["user model", "agent", "n", *(HEADINGS[name] for name in names)]
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    for row in rows:
        cells = [row.user_model, row.agent, str(row.n)]
        cells += [show(row.metrics[name], name) for name in names]
        lines.append("| " + " | ".join(cells) + " |")
    if judged := judged_by(rows):
        lines += ["", f"{judged[0].upper()}{judged[1:]}."]
    return "\n".join(lines)

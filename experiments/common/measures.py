"""Measures with intervals and pass thresholds, as a report: table, Markdown, JSON and plots.

The fidelity report of a user model and the audit of a judge are lists of such measures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from experiments.common.bootstrap import Estimate
from experiments.common.storage import damage_named, read_record, write_atomically, write_json
from persuade_env.errors import RunError

MEASURES_FILE = "card.json"
"""The report's file in its folder."""

_JSON_KEYS = {"threshold": "bar", "predicted": "said"}
"""Keys of `MEASURES_FILE` that differ from the fields' names, so that old reports stay readable."""


@dataclass(frozen=True)
class Measure:
    """One line of a report.

    >>> Measure("dose", "half over none", Estimate(0.5, 0.25, 0.75), 12, "above 0", True).passed
    True
    """

    test: str
    measure: str
    estimate: Estimate
    n: int
    threshold: str = ""
    """What it takes to pass; empty where the measure is only informative."""
    passed: bool | None = None


@dataclass(frozen=True)
class Histogram:
    """Shares of recorded and of simulated turns in bins."""

    name: str
    bins: tuple[str, ...]
    recorded: tuple[float, ...]
    simulated: tuple[float, ...]


@dataclass(frozen=True)
class ReliabilityBin:
    """A point of a reliability diagram: mean predicted probability and observed frequency."""

    predicted: float
    observed: Estimate
    n: int


@dataclass(frozen=True)
class ReportSection:
    """Measures of a report, with the data of their plots; sections are joined with `+`.

    >>> (ReportSection(()) + ReportSection(())).measures
    ()
    """

    measures: tuple[Measure, ...]
    histograms: tuple[Histogram, ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()

    def __add__(self, other: ReportSection) -> ReportSection:
        return ReportSection(
            self.measures + other.measures,
            self.histograms + other.histograms,
            self.reliability + other.reliability,
        )


def failed_replies(test: str, failed: int, valid: int) -> Measure:
    """The share of a test's replies that failed; passes if there is none.

    >>> failed_replies("turns", 1, 3).estimate.value
    0.25
    """
    total = failed + valid
    share = Estimate(failed / total if total else math.nan, math.nan, math.nan)
    return Measure(test, "failed replies", share, total, "0", failed == 0)


@dataclass(frozen=True)
class ReferenceReport:
    """Another report whose values are shown in a column of their own.

    >>> measure = Measure("ends", "F1", Estimate(0.5, 0.25, 0.75), 12)
    >>> ReferenceReport("prompted", [measure]).value(measure)
    '0.50 [0.25, 0.75]'
    """

    name: str
    measures: Sequence[Measure]

    @classmethod
    def read(cls, folder: Path, conditions: Mapping[str, object]) -> ReferenceReport:
        """The report in a folder, under the name of its user model.

        Args:
            folder: that a report was written to.
            conditions: under which the other report is made (`scenarios`, `limit`, `seed`); they
                must be the same in both.

        Raises:
            RunError: if there is no report, or it was made under other conditions.
        """
        measures = read_measures(folder)
        if not measures:
            raise RunError(f"no report in {folder}: `persuade fidelity` writes one")
        report = read_record(folder / MEASURES_FILE)
        other = {name: report.get(name) for name in conditions}
        if other != conditions:
            raise RunError(
                f"the report in {folder} was made with {other}, this one with {conditions}"
            )
        return cls(str(report.get("user_model", folder.name)), measures)

    def value(self, measure: Measure) -> str:
        """The other report's value of this measure; empty where it lacks it."""
        key = measure.test, measure.measure
        return next(
            (str(other.estimate) for other in self.measures if (other.test, other.measure) == key),
            "",
        )


def measures_table(
    measures: Sequence[Measure], title: str, reference: ReferenceReport | None = None
) -> Table:
    """The report for a terminal."""
    table = Table(
        title=title,
        title_justify="left",
        caption="95 % intervals, bootstrapped by scenario",
        caption_justify="left",
    )
    for heading in _headings(reference):
        table.add_column(heading, no_wrap=True)
    last_test = None
    for measure in measures:
        if last_test not in (None, measure.test):
            table.add_section()
        last_test = measure.test
        verdict = {True: "pass", False: "[red]FAIL[/red]", None: ""}[measure.passed]
        table.add_row(*_cells(measure, reference), verdict)
    return table


def measures_markdown(measures: Sequence[Measure], reference: ReferenceReport | None = None) -> str:
    """The report as a Markdown table."""
    headings = _headings(reference)
    rows = [headings, ["---"] * len(headings)]
    for measure in measures:
        verdict = {True: "pass", False: "**fail**", None: ""}[measure.passed]
        rows.append([*_cells(measure, reference), verdict])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _headings(reference: ReferenceReport | None) -> list[str]:
    return ["test", "measure", "value", *([reference.name] if reference else []), "n", "bar", ""]


def _cells(measure: Measure, reference: ReferenceReport | None) -> list[str]:
    other = [reference.value(measure)] if reference else []
    value = str(measure.estimate)
    return [measure.test, measure.measure, value, *other, str(measure.n), measure.threshold]


def read_measures(folder: Path) -> list[Measure]:
    """The measures of the report in a folder; none where there is no report."""
    rows = read_record(folder / MEASURES_FILE).get("measures", [])
    names = {key: name for name, key in _JSON_KEYS.items()}
    with damage_named(folder / MEASURES_FILE):
        return [
            Measure(
                **{
                    **{names.get(key, key): value for key, value in row.items()},
                    "estimate": _estimate(row["estimate"]),
                }
            )
            for row in rows
        ]


def _estimate(row: Mapping[str, float | None]) -> Estimate:
    return Estimate(**{name: math.nan if x is None else x for name, x in row.items()})


def write_measures(
    measures: Sequence[Measure],
    folder: Path,
    provenance: Mapping[str, object],
    *,
    histograms: Sequence[Histogram] = (),
    reliability: Sequence[ReliabilityBin] = (),
    plotted: Sequence[str] = ("controls", "dose", "persona"),
    axis: str = "attitude, Likert points",
    reference: ReferenceReport | None = None,
) -> None:
    """Writes `card.json`, `card.md` and, where there is something to plot, `card.png`.

    With histograms or a reliability diagram, `realism.png` too.

    Args:
        measures: of the report.
        folder: made if need be.
        provenance: what the report was made of; stored in `card.json`.
        histograms: of recorded and simulated turns.
        reliability: the points of a reliability diagram.
        plotted: the tests whose measures `card.png` shows, all in the unit that `axis` names.
        axis: label of the plot's axis.
        reference: a report whose values `card.md` shows, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Sequence[Measure | Histogram | ReliabilityBin]] = {
        "measures": measures,
        "histograms": histograms,
        "reliability": reliability,
    }
    rows = {
        name: [_json_row(item) for item in items]
        for name, items in parts.items()
        if items or name == "measures"
    }
    write_json(folder / MEASURES_FILE, {**provenance, **rows})
    write_atomically(folder / "card.md", measures_markdown(measures, reference))
    for earlier in ("card.png", "realism.png"):  # of a report with other parts
        (folder / earlier).unlink(missing_ok=True)
    plotted_measures = [measure for measure in measures if measure.test in plotted]
    if plotted_measures:
        _plot(plotted_measures, axis, folder / "card.png")
    if histograms or reliability:
        _plot_realism(histograms, reliability, folder / "realism.png")


def _json_row(item: Measure | Histogram | ReliabilityBin) -> dict[str, Any]:
    row = {_JSON_KEYS.get(name, name): value for name, value in asdict(item).items()}
    parsed: dict[str, Any] = json.loads(json.dumps(row).replace("NaN", "null"))
    return parsed


def _plot(measures: Sequence[Measure], axis: str, path: Path) -> None:
    from matplotlib.figure import Figure

    with_interval = [measure for measure in measures if not math.isnan(measure.estimate.low)]
    figure = Figure(figsize=(8, 0.45 * len(with_interval) + 1.2), layout="constrained")
    axes = figure.subplots()
    positions = np.arange(len(with_interval))[::-1]
    values = np.asarray([measure.estimate.value for measure in with_interval])
    low = values - [measure.estimate.low for measure in with_interval]
    high = np.asarray([measure.estimate.high for measure in with_interval]) - values
    axes.errorbar(values, positions, xerr=[low, high], fmt="o", capsize=3)
    axes.axvline(0, color="grey", linewidth=1)
    axes.set_yticks(positions, [measure.measure for measure in with_interval])
    axes.set_xlabel(f"{axis} (95 % interval by scenario)")
    figure.savefig(path, dpi=120)


def _plot_realism(
    histograms: Sequence[Histogram], reliability: Sequence[ReliabilityBin], path: Path
) -> None:
    from matplotlib.figure import Figure

    count = len(histograms) + bool(reliability)
    columns = min(4, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(4.5 * columns, 3.6 * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, histogram in zip(panels, histograms, strict=False):
        middles = np.arange(len(histogram.bins))
        axes.bar(middles - 0.2, histogram.recorded, 0.4, label="recorded")
        axes.bar(middles + 0.2, histogram.simulated, 0.4, label="simulated")
        axes.set_xticks(middles, histogram.bins, rotation=90 if len(histogram.bins) > 7 else 0)
        axes.set_title(histogram.name, fontsize="medium")
        axes.legend(fontsize="small")
    if reliability:
        axes = panels[len(histograms)]
        predicted = [point.predicted for point in reliability]
        values = np.asarray([point.observed.value for point in reliability])
        low = [point.observed.value - point.observed.low for point in reliability]
        high = [point.observed.high - point.observed.value for point in reliability]
        spread = np.nan_to_num([low, high])  # a bin of one person has no interval
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
        axes.errorbar(predicted, values, yerr=spread, fmt="o", capsize=3)
        axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="predicted: (attitude - 1) / 6")
        axes.set_ylabel("share who did it")
        axes.set_title("outcomes: reliability", fontsize="medium")
    for axes in panels[count:]:
        axes.set_axis_off()
    figure.savefig(path, dpi=100)

"""A card: the measures of a probe, with intervals and bars, as table, Markdown, JSON and plot."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from experiments.common.bootstrap import Estimate
from experiments.common.storage import read_json, write_atomically, write_json
from persuade_env.errors import RunError

MEASURES_FILE = "card.json"
"""The card's file in its folder."""


@dataclass(frozen=True)
class Measure:
    """One line of the card."""

    test: str
    measure: str
    estimate: Estimate
    n: int
    bar: str = ""
    """What it takes to pass; empty where there is only something to see."""
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
    """A point of a reliability diagram: the mean probability said, and how often it came true."""

    said: float
    observed: Estimate
    n: int


@dataclass(frozen=True)
class ReportSection:
    """Lines of the card, and what its plots show beside them."""

    measures: tuple[Measure, ...]
    histograms: tuple[Histogram, ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()

    def __add__(self, other: ReportSection) -> ReportSection:
        return ReportSection(
            self.measures + other.measures,
            self.histograms + other.histograms,
            self.reliability + other.reliability,
        )


def failures(test: str, failed: int, valid: int) -> Measure:
    """The line that counts a test's failed replies."""
    total = failed + valid
    share = Estimate(failed / total if total else math.nan, math.nan, math.nan)
    return Measure(test, "failed replies", share, total, "0", failed == 0)


@dataclass(frozen=True)
class ReferenceReport:
    """Another card, to be shown in a column beside the own values."""

    name: str
    measures: Sequence[Measure]

    @classmethod
    def read(cls, folder: Path, asked: Mapping[str, object]) -> ReferenceReport:
        """The card in a folder, under the name of the user model that it is of.

        Args:
            asked: where the own card's user model is asked (`scenarios`, `limit`, `seed`); it must
                be the same there.

        Raises:
            RunError: if there is no card, or it was made otherwise.
        """
        measures = read_measures(folder)
        if not measures:
            raise RunError(f"no card in {folder}: `persuade fidelity` writes one")
        report = read_json(folder / MEASURES_FILE) or {}
        other = {name: report.get(name) for name in asked}
        if other != asked:
            raise RunError(f"the card in {folder} was made with {other}, this one with {asked}")
        return cls(str(report.get("user_model", folder.name)), measures)

    def value(self, one: Measure) -> str:
        """What the other card has for this measure; empty where it has it not."""
        key = one.test, one.measure
        return next((str(x.estimate) for x in self.measures if (x.test, x.measure) == key), "")


def measures_table(
    measures: Sequence[Measure], title: str, reference: ReferenceReport | None = None
) -> Table:
    """The card for a terminal."""
    table = Table(
        title=title,
        title_justify="left",
        caption="95 % intervals, bootstrapped by scenario",
        caption_justify="left",
    )
    for heading in _headings(reference):
        table.add_column(heading, no_wrap=True)
    last = None
    for one in measures:
        if last not in (None, one.test):
            table.add_section()
        last = one.test
        verdict = {True: "pass", False: "[red]FAIL[/red]", None: ""}[one.passed]
        table.add_row(*_cells(one, reference), verdict)
    return table


def measures_markdown(measures: Sequence[Measure], reference: ReferenceReport | None = None) -> str:
    """The card in Markdown."""
    headings = _headings(reference)
    rows = [headings, ["---"] * len(headings)]
    for one in measures:
        rows.append(
            [*_cells(one, reference), {True: "pass", False: "**fail**", None: ""}[one.passed]]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _headings(reference: ReferenceReport | None) -> list[str]:
    return ["test", "measure", "value", *([reference.name] if reference else []), "n", "bar", ""]


def _cells(one: Measure, reference: ReferenceReport | None) -> list[str]:
    other = [reference.value(one)] if reference else []
    return [one.test, one.measure, str(one.estimate), *other, str(one.n), one.bar]


def read_measures(folder: Path) -> list[Measure]:
    """The measures of the card in a folder; none where there is no card."""
    rows = (read_json(folder / MEASURES_FILE) or {}).get("measures", [])
    return [Measure(**{**row, "estimate": _read(row["estimate"])}) for row in rows]


def _read(estimate: Mapping[str, float | None]) -> Estimate:
    return Estimate(**{name: math.nan if x is None else x for name, x in estimate.items()})


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
    """Writes `report.json`, `report.md` and, where there is something to plot, `report.png` to
    `folder`.

    With histograms or a reliability diagram, `realism.png` too.

    Args:
        plotted: the tests whose measures `report.png` shows, all in the unit that `axis` names.
        beside: a card whose values `report.md` shows, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown: dict[str, Sequence[Measure | Histogram | ReliabilityBin]] = {
        "measures": measures,
        "histograms": histograms,
        "reliability": reliability,
    }
    rows = {
        name: [json.loads(json.dumps(asdict(one)).replace("NaN", "null")) for one in some]
        for name, some in shown.items()
        if some or name == "measures"
    }
    write_json(folder / MEASURES_FILE, {**provenance, **rows})
    write_atomically(folder / "card.md", measures_markdown(measures, reference))
    shown_measures = [one for one in measures if one.test in plotted]
    for earlier in ("card.png", "realism.png"):  # of a card with other parts
        (folder / earlier).unlink(missing_ok=True)
    if shown_measures:
        _plot(shown_measures, axis, folder / "card.png")
    if histograms or reliability:
        _plot_realism(histograms, reliability, folder / "realism.png")


def _plot(measures: Sequence[Measure], axis: str, path: Path) -> None:
    from matplotlib.figure import Figure

    shown = [one for one in measures if not math.isnan(one.estimate.low)]
    figure = Figure(figsize=(8, 0.45 * len(shown) + 1.2), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(shown))[::-1]
    values = np.asarray([one.estimate.value for one in shown])
    low = values - [one.estimate.low for one in shown]
    high = np.asarray([one.estimate.high for one in shown]) - values
    axes.errorbar(values, places, xerr=[low, high], fmt="o", capsize=3)
    axes.axvline(0, color="grey", linewidth=1)
    axes.set_yticks(places, [f"{one.measure}" for one in shown])
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
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, one in zip(places, histograms, strict=False):
        middles = np.arange(len(one.bins))
        axes.bar(middles - 0.2, one.recorded, 0.4, label="recorded")
        axes.bar(middles + 0.2, one.simulated, 0.4, label="simulated")
        axes.set_xticks(middles, one.bins, rotation=90 if len(one.bins) > 7 else 0)
        axes.set_title(one.name, fontsize="medium")
        axes.legend(fontsize="small")
    if reliability:
        axes = places[len(histograms)]
        values = np.asarray([one.observed.value for one in reliability])
        low = [one.observed.value - one.observed.low for one in reliability]
        high = [one.observed.high - one.observed.value for one in reliability]
        spread = np.nan_to_num([low, high])  # a bin of one person has no interval
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
        axes.errorbar([one.said for one in reliability], values, yerr=spread, fmt="o", capsize=3)
        axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="said: (attitude - 1) / 6")
        axes.set_ylabel("share who did it")
        axes.set_title("outcomes: reliability", fontsize="medium")
    for axes in places[count:]:
        axes.set_axis_off()
    figure.savefig(path, dpi=100)

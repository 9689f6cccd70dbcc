"""`persuade audit-judge`: whether a judge can be trusted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from experiments.cli.benchmark import JUDGES
from experiments.cli.options import Format, ScenarioFile, Seed, Split, Wide
from experiments.common.console import err, out


def audit_judge(
    judge: Annotated[str, typer.Option(help=JUDGES)] = "learned",
    split: Split = "test",
    scenarios: ScenarioFile = None,
    folder: Annotated[Path, typer.Option("--out", help="Where the audit goes.")] = Path(
        "runs/judges"
    ),
    limit: Annotated[
        int | None,
        typer.Option(min=2, help="Scenarios, spread over the split; a chat model is slow."),
    ] = None,
    seed: Seed = 0,
    wide: Wide = False,
    format: Format = "table",
) -> None:
    """Whether a judge can be trusted: its verdicts where the better dialogue is known."""
    from experiments.common.resolve import validate_judge
    from persuade_env.spec import hide_password

    validate_judge(judge)

    from experiments.common.measures import measures_table, write_measures
    from experiments.common.progress import counting_bar
    from experiments.judging.audit import PLOTTED, audit
    from persuade_env import scenarios as files

    corpus = files.load_source(scenarios)
    records = files.load_source(scenarios, split)
    name = hide_password(judge)
    results = folder / re.sub(r"[^\w-]+", "-", name)
    with counting_bar("judge", None, "verdict") as progress:
        measures = audit(judge, records, corpus, results, limit=limit, seed=seed, progress=progress)
    source = str(scenarios) if scenarios else split
    provenance = {"judge": name, "scenarios": source, "limit": limit, "seed": seed}
    write_measures(measures, results, provenance, plotted=PLOTTED, axis="share of verdicts")
    out.print(measures_table(measures, f"{name} on {limit or len(records)} scenarios of {source}"))
    failed = sum(measure.passed is False for measure in measures)
    tested = sum(measure.passed is not None for measure in measures)
    err.print(f"{failed} of {tested} thresholds missed", highlight=False)
    err.print(f"report: {results / 'card.md'}", soft_wrap=True, highlight=False)

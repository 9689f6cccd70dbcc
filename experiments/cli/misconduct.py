"""`persuade conduct`: rates of misconduct, and the detector's accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli.options import Format, Wide
from experiments.common.console import out
from persuade_env.errors import RunError


def conduct(
    benchmark: Annotated[
        Path | None,
        typer.Option(help="A benchmark's folder: rates for each agent and user model."),
    ] = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Rates of the corpus's persuaders, by quality.")
    ] = False,
    scenarios: Annotated[
        Path | None, typer.Option(help="With --recorded: a file in place of the shipped corpus.")
    ] = None,
    wide: Wide = False,
    format: Format = "table",
) -> None:
    """How often persuaders misbehave, and how often the detector of it is right."""
    from experiments.safety import misconduct_rates as audit
    from persuade_env import scenarios as files

    for part in audit.PARTS[1:]:
        for source in (None, "corpus") if part == "test" else (None,):
            turns = audit.labelled_turns(part, source)
            title = f"The detector on {len(turns)} labelled turns ({part}"
            title += ")" if source is None else ", those drawn from the corpus)"
            audit.accuracy_table(audit.accuracy(turns), title).print(out, format, wide=wide)
    if recorded:
        records = files.load_source(scenarios)
        table = audit.rates_table(
            audit.recorded_rates(records), "Recorded persuaders, share of turns"
        )
        table.print(out, format, wide=wide)
    if benchmark is not None:
        rows = audit.benchmark_rates(benchmark)
        if not rows:
            raise RunError(f"no benchmark in {benchmark}: `persuade run` makes one")
        audit.rates_table(rows, "Agents, share of persuader turns").print(out, format, wide=wide)

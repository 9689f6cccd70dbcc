"""`persuade scenarios`: what scenario files hold, and whether they are as they should be."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from experiments.cli.options import Wide
from experiments.common.console import out
from persuade_env.errors import RunError

app = typer.Typer(help="Checks and describes scenario files.", no_args_is_help=True)


@app.command("check")
def check_scenarios(
    file: Annotated[Path, typer.Argument(help="A scenario file, or a data set's file or folder.")],
    format: Annotated[str, typer.Option(help="Of the file.")] = "persuade_env",
) -> None:
    """Every error with file, place, field and what was expected; exit code 1 if there is any."""
    from persuade_env.scenarios import check

    records, errors = check(file, format)
    for error in errors:
        out.print(escape(error), soft_wrap=True, highlight=False)
    if errors:
        raise RunError(f"{len(errors)} errors; {len(records)} scenarios are fine")
    dialogues = sum(len(record.dialogues) for record in records)
    out.print(f"{len(records)} scenarios, {dialogues} dialogues: all fine")


@app.command("stats")
def scenario_stats(
    file: Annotated[
        Path | None, typer.Argument(help="As for `check`; the shipped corpus by default.")
    ] = None,
    format: Annotated[str, typer.Option(help="Of the file.")] = "persuade_env",
    folder: Annotated[
        Path | None, typer.Option("--out", help="Also write stats.json and stats.png here.")
    ] = None,
    ctompersu: Annotated[
        Path | None, typer.Option(help="CToMPersu's file: its figures in a column beside.")
    ] = None,
    wide: Wide = False,
    format_of_tables: Annotated[
        str, typer.Option("--table-format", help="Of the tables: table, markdown, csv or json.")
    ] = "table",
) -> None:
    """Length, variety, repetition and outcomes by domain, and how turns answer each other."""
    from experiments.corpus.stats import blind_auc, corpus_stats, stats_table, write_stats
    from experiments.corpus.style import style_measures, style_table
    from persuade_env import scenarios as files

    is_corpus = file is None or str(file) in files.CORPORA
    records = files.load_source(file) if is_corpus else files.load(Path(str(file)), format)
    rows = corpus_stats(records)
    stats_table(rows).print(out, format_of_tables, wide=wide)
    columns = {str(file or "corpus"): style_measures(records)}
    if ctompersu is not None:
        columns["CToMPersu"] = style_measures(files.load(ctompersu, "ctompersu"))
    style_table(columns).print(out, format_of_tables, wide=wide)
    auc = blind_auc(records)
    if auc == auc:
        out.print(
            f"a persuader's words alone tell competent from poor with an AUC of {auc:.2f}",
            highlight=False,
        )
    if folder is not None:
        write_stats(rows, records, folder)
        out.print(f"stats: {folder / 'stats.json'}, {folder / 'stats.png'}", soft_wrap=True)


@app.command("schema")
def schema() -> None:
    """Prints the JSON Schema of a scenario."""
    from persuade_env.scenarios import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=1) + "\n")

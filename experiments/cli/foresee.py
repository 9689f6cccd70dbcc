"""`persuade foresee`: how much of what moves the user a persuader can know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from experiments.cli.options import Format
from experiments.common.console import err, out, quiet_libraries
from experiments.common.table import Column, DataTable, check_format
from persuade_env.errors import RunError

MEANINGS = {
    "rho": "correlation of steps, within a context, with what the persuader foresees",
    "chosen_minus_mean": "step of the candidate that is foreseen best, above the mean",
    "within_context_sd": "standard deviation of the steps of a context's candidates",
    "best_minus_mean": "step of the best candidate above the mean",
    "best_minus_worst": "step of the best candidate above the worst",
}
"""What is printed, in Likert points but for rho."""


def foresee(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    user_model: Annotated[
        str,
        typer.Option(
            help="Another user: how much of it is foreseen by what was learned from the run's. "
            "concerns, learned and held-out (of the run), learned=FOLDER, ..."
        ),
    ] = "",
    format: Format = "table",
) -> None:
    """How much of what moves the user a persuader can foresee from the dialogue alone.

    A ridge regression on the SFT persuader's hidden states, tested by folds over scenarios on the
    run's pool of candidates; what is missing of the run is made first. Intervals are of 95 %, over
    scenarios.
    """
    check_format(format)
    if user_model:
        from experiments.common.resolve import validate_user

        validate_user(user_model)

    from experiments.common.storage import read_record
    from experiments.configs.load import from_json
    from experiments.pipeline import run as pipeline
    from experiments.pipeline.make_pool import SUMMARY_FILE, foresight_for

    quiet_libraries()
    stored = folder / "prepare" / "settings.json"
    if not stored.is_file():
        raise RunError(f"{folder} is no run: `persuade run --out {folder}` begins one")
    settings = from_json(read_record(stored), str(stored))
    pipeline.train(folder, settings, "foresight", on_progress=lambda line: err.print(escape(line)))
    found = read_record(folder / "foresight" / SUMMARY_FILE)
    if user_model:
        from experiments.common.resolve import resolve_user_spec, user_model_loader
        from experiments.pipeline.context import RunContext
        from experiments.pipeline.data import RunData

        context = RunContext(folder, settings, RunData.load(settings))
        spec = resolve_user_spec(folder, user_model)
        other = user_model_loader(spec, context.models, settings.max_reply_tokens)()
        found = foresight_for(context, other)
    summary_table(found).print(out, format)


def summary_table(found: Mapping[str, Any]) -> DataTable:
    """A row for each of `MEANINGS`, of the summary that the step has written."""

    def cell(value: float | None) -> str:
        return "–" if value is None else f"{value:.2f}"

    rows = [
        (name, *(cell(found[name][part]) for part in ("value", "low", "high")), meaning)
        for name, meaning in MEANINGS.items()
    ]
    return DataTable(
        (
            Column("measure", left=True),
            Column("value"),
            Column("low"),
            Column("high"),
            Column("what it is", rank=1, left=True),
        ),
        rows,
        notes=(
            f"{found['candidates']} candidates in {found['contexts']} contexts of "
            f"{found['scenarios']} scenarios",
        ),
    )

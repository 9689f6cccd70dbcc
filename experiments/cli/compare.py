"""`persuade compare`: ways of training, several seeds of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from experiments.cli.options import (
    Base,
    Config,
    Format,
    Fresh,
    Overrides,
    Preset,
    RunFolder,
    RunSeed,
    Scenarios,
    TensorBoard,
    Track,
    TrainUser,
    Wide,
    names_in,
    run_folder,
    run_settings,
    trackers,
)
from experiments.common.console import err, out, quiet_libraries
from experiments.common.storage import write_atomically
from experiments.common.table import Column, DataTable, check_format

if TYPE_CHECKING:
    from experiments.comparison.compare import Compared


def compare(
    preset: Preset = "default",
    config: Config = None,
    overrides: Overrides = None,
    base: Base = None,
    folder: RunFolder = None,
    seed: RunSeed = None,
    scenarios: Scenarios = None,
    train_user: TrainUser = None,
    seeds: Annotated[int, typer.Option(min=1, help="Of each method, from --seed on.")] = 3,
    methods: Annotated[
        str,
        typer.Option(
            help="Comma-separated: sft, best-of-N, rft, dpo, grpo, ppo; dpo@concerns learns from "
            "that user, dpo@learned+concerns from a population."
        ),
    ] = "sft,best-of-4,rft,dpo,grpo,ppo",
    user_models: Annotated[
        str,
        typer.Option(
            help="Comma-separated: whom they are played against; the preset's by default. "
            "held-out is a learned user that nothing was trained against."
        ),
    ] = "",
    fresh: Fresh = False,
    track: Track = False,
    tensorboard: TensorBoard = False,
    wide: Wide = False,
    format: Format = "table",
) -> None:
    """Several seeds of SFT, best-of-n, RFT, DPO, GRPO and PPO, and their gain over SFT.

    Users and SFT persuader are the run's, and are trained where they are missing. What is
    finished is kept, as in `run`.
    """
    from experiments.common.resolve import validate_user
    from experiments.comparison import compare as comparison
    from experiments.comparison.plots import plot
    from experiments.pipeline import run as pipeline
    from experiments.reporting.metrics import live_metrics

    check_format(format)
    names = names_in(methods)
    comparison.check(names)
    settings = run_settings(preset, config, overrides, base, seed, scenarios, train_user)
    root = run_folder(folder, preset, config, settings)
    quiet_libraries()
    if user_models:
        settings = replace(settings, user_models=tuple(names_in(user_models)))
        for name in settings.user_models:
            validate_user(name)
    with live_metrics(root, trackers(track, tensorboard), settings) as metrics:
        results = comparison.compare(
            root,
            settings,
            seeds,
            methods=names,
            fresh=fresh,
            metrics=metrics,
            on_progress=lambda line: err.print(escape(line)),
        )
    table = comparison_table(results)
    table.print(out, format, wide=wide)
    for name, cost in comparison.costs(root, settings, seeds, names).items():
        err.print(
            f"{name}: {cost.dialogues:.0f} dialogues simulated, {cost.minutes:.1f} minutes "
            "(mean of seeds, beside what all share)",
            highlight=False,
        )
    place = root / comparison.FOLDER
    plot(comparison.curves(root, settings, seeds, names), place / "curves.svg")
    write_atomically(place / "results.md", table.markdown())
    err.print(f"machine: {pipeline.machine()}", highlight=False)
    names_written = ("results.json", "results.md", "curves.svg")
    err.print(f"results: {', '.join(str(place / one) for one in names_written)}", soft_wrap=True)


_COLUMNS = (
    Column("user model", left=True),
    Column("agent", left=True),
    Column("n", rank=4),
    Column("attitude gain", rank=1),
    Column("over SFT", rank=0),
    Column("by seed", rank=6),
    Column("success", rank=2),
    Column("words/turn", rank=7),
    Column("malformed", rank=8),
    Column("misconduct", rank=5),
)


def comparison_table(results: Sequence[Compared]) -> DataTable:
    """One row for each user model and method."""
    from experiments.benchmark.tables import show

    rows = []
    for result in results:
        row = result.row
        rows.append(
            [
                row.user_model,
                row.agent + ("*" if result.against_its_own else ""),
                str(row.n),
                show(row.metrics["attitude_gain"], "attitude_gain"),
                show(result.over_sft, "attitude_gain"),
                " ".join(f"{value:.2f}" for value in result.by_seed),
                f"{row.metrics['success'].value:.2f}",
                f"{row.metrics['words'].value:.1f}",
                *(f"{row.metrics[name].value:.2f}" for name in ("malformed", "misconduct")),
            ]
        )
    notes = (
        "95 % intervals; gain over SFT with scenarios and seeds resampled",
        "*: against the user that it learned from, or looks into",
    )
    return DataTable(_COLUMNS, rows, notes, [result.row.user_model for result in results])

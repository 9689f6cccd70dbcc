"""`persuade compare`: ways of training, several seeds of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from experiments.cli.options import (
    Preset,
    RunFolder,
    Scenarios,
    Seed,
    TrainUser,
    names_in,
    quiet,
    run_folder,
    run_settings,
)
from experiments.common.console import err, out
from experiments.common.storage import write_atomically

if TYPE_CHECKING:
    from experiments.comparison.compare import Compared


def compare(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
    train_user: TrainUser = "learned",
    seeds: Annotated[int, typer.Option(min=1, help="Of each method, from --seed on.")] = 3,
    methods: Annotated[
        str,
        typer.Option(
            help="Comma-separated: sft, best-of-N, dpo, grpo, ppo; dpo@concerns learns from that "
            "user, dpo@learned+concerns from a population."
        ),
    ] = "sft,best-of-4,dpo,grpo,ppo",
    user_models: Annotated[
        str,
        typer.Option(
            help="Comma-separated: whom they are played against; the preset's by default. "
            "held-out is a learned user that nothing was trained against."
        ),
    ] = "",
) -> None:
    """Several seeds of SFT, best-of-n, DPO, GRPO and PPO on a run's users, and their gain over SFT.

    Users and SFT persuader are the run's, and are trained where they are missing. What is
    finished is kept, as in `run`.
    """
    from experiments.common.resolve import validate_user
    from experiments.comparison import compare as comparison
    from experiments.comparison.plots import plot
    from experiments.pipeline import run as pipeline

    quiet()
    names = names_in(methods)
    comparison.check(names)
    folder = run_folder(folder, preset, seed, scenarios, train_user)
    settings = run_settings(preset, seed, scenarios, train_user)
    if user_models:
        settings = replace(settings, user_models=tuple(names_in(user_models)))
        for name in settings.user_models:
            validate_user(name)
    found = comparison.compare(
        folder, settings, seeds, methods=names, on_progress=lambda line: err.print(escape(line))
    )
    out.print(_table(found))
    for name, cost in comparison.costs(folder, settings, seeds, names).items():
        out.print(
            f"{name}: {cost.dialogues:.0f} dialogues simulated, {cost.minutes:.1f} minutes "
            "(mean of seeds, beside what all share)",
            highlight=False,
        )
    place = folder / comparison.FOLDER
    plot(comparison.curves(folder, settings, seeds, names), place / "curves.svg")
    write_atomically(place / "results.md", markdown(found))
    out.print(f"machine: {pipeline.machine()}", highlight=False)
    names_written = ("results.json", "results.md", "curves.svg")
    out.print(f"results: {', '.join(str(place / one) for one in names_written)}", soft_wrap=True)


_HEADINGS = (
    "user model", "agent", "n", "attitude gain", "over SFT", "by seed", "success", "words/turn",
    "malformed", "misconduct",
)  # fmt: skip


def _cells(one: Compared) -> list[str]:
    from experiments.benchmark.tables import show

    row = one.row
    return [
        row.user_model,
        row.agent + ("*" if one.against_its_own else ""),
        str(row.n),
        show(row.metrics["attitude_gain"], "attitude_gain"),
        show(one.over_sft, "attitude_gain"),
        " ".join(f"{value:.2f}" for value in one.by_seed),
        f"{row.metrics['success'].value:.2f}",
        f"{row.metrics['words'].value:.1f}",
        *(f"{row.metrics[name].value:.2f}" for name in ("malformed", "misconduct")),
    ]


def _table(found: Sequence[Compared]) -> Table:
    table = Table(
        box=SIMPLE_HEAD,
        caption="95 % intervals; gain over SFT with scenarios and seeds resampled\n"
        "*: against the user that it learned from, or looks into",
        caption_justify="left",
        padding=(0, 1, 0, 0),
    )
    for place, heading in enumerate(_HEADINGS):
        table.add_column(heading, justify="left" if place < 2 else "right", no_wrap=True)
    last = None
    for one in found:
        if last not in (None, one.row.user_model):
            table.add_section()
        last = one.row.user_model
        table.add_row(*map(escape, _cells(one)))
    return table


def markdown(found: Sequence[Compared]) -> str:
    """The table for a document."""
    rows = [_HEADINGS, ["---"] * len(_HEADINGS), *map(_cells, found)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows).replace("*", "\\*")

"""`persuade run` and `persuade show`: the main job, and what came of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

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
    run_folder,
    run_settings,
    trackers,
)
from experiments.common.console import err, out, quiet_libraries
from experiments.common.table import check_format
from persuade_env.errors import RunError, UnknownNameError


def run(
    preset: Preset = "default",
    config: Config = None,
    overrides: Overrides = None,
    base: Base = None,
    folder: RunFolder = None,
    seed: RunSeed = None,
    scenarios: Scenarios = None,
    train_user: TrainUser = None,
    until: Annotated[str | None, typer.Option(help="The last step to make.")] = None,
    fresh: Fresh = False,
    track: Track = False,
    tensorboard: TensorBoard = False,
    wide: Wide = False,
    format: Format = "table",
) -> None:
    """The main job: user models, SFT, RFT, DPO, PPO, benchmark, fidelity, report.

    Steps whose inputs are unchanged are kept, so a killed run goes on when called again. A folder
    that was made with other settings is refused; --fresh moves the old steps aside.
    """
    from experiments.pipeline.steps import needed_steps

    check_format(format)
    settings = run_settings(preset, config, overrides, base, seed, scenarios, train_user)
    names = needed_steps(settings)
    if until is not None and until not in names:
        raise UnknownNameError("step", until, names)
    root = run_folder(folder, preset, config, settings)

    from experiments.benchmark.dialogues import load_seconds
    from experiments.benchmark.summary import load_rows
    from experiments.benchmark.tables import benchmark_table
    from experiments.pipeline import run as pipeline
    from experiments.pipeline.forecast import Forecast
    from experiments.reporting.html_report import stage_seconds
    from experiments.reporting.metrics import live_metrics
    from experiments.reporting.wandb import check_tracking, track_results

    quiet_libraries()
    if track:
        err.print(check_tracking(), highlight=False)
    began = time.perf_counter()
    forecast = Forecast.of(settings, names if until is None else names[: names.index(until) + 1])
    err.print(f"device: {pipeline.machine()}", highlight=False, soft_wrap=True)
    err.print(forecast.announcement(root), highlight=False, soft_wrap=True)

    def tell(line: str) -> None:
        err.print(escape(line + forecast.remaining(root, line.partition(":")[0])), soft_wrap=True)

    with live_metrics(root, trackers(track, tensorboard), settings) as metrics:
        pipeline.run(root, settings, until=until, fresh=fresh, metrics=metrics, on_progress=tell)
        if track and until in (None, "report"):
            track_results(root)
    if until not in (None, "report"):
        return
    results = root / "benchmark"
    benchmark_table(load_rows(results), load_seconds(results)).print(out, format, wide=wide)
    stages = stage_seconds(root, names)
    parts = ", ".join(f"{name} {value / 60:.1f}" for name, value in stages.items() if value >= 3)
    err.print(f"minutes: {sum(stages.values()) / 60:.1f} in all ({parts})", highlight=False)
    err.print(f"this call took {(time.perf_counter() - began) / 60:.1f} minutes", highlight=False)
    err.print(f"report: {root / 'report' / 'report.html'}", soft_wrap=True, highlight=False)


def show(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    dialogues: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Dialogues to print; by default 2, and none in other formats than table. With "
            "--format markdown they are sections of a document.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the dialogues.")] = 0,
    agent: Annotated[
        str | None, typer.Option(help="Whose dialogues; by default the last that was trained.")
    ] = None,
    user_model: Annotated[
        str | None, typer.Option(help="Against whom; by default the first user model.")
    ] = None,
    without_table: Annotated[
        bool, typer.Option("--without-table", help="The dialogues alone.")
    ] = False,
    wide: Wide = False,
    format: Format = "table",
) -> None:
    """Prints a run's table and some of its dialogues, drawn by a seed."""
    from experiments.benchmark.dialogues import load_episodes, load_seconds
    from experiments.benchmark.samples import dialogues_markdown, draw_dialogues
    from experiments.benchmark.summary import load_rows
    from experiments.benchmark.tables import benchmark_table
    from persuade_env.envs.rendering import render_ansi

    check_format(format)
    if dialogues is None:
        dialogues = 2 if format == "table" else 0
    if dialogues and format not in ("table", "markdown"):
        raise RunError(f"--dialogues are printed with --format table or markdown, not {format}")
    results = folder / "benchmark" if (folder / "benchmark").is_dir() else folder
    rows = load_rows(results)
    if not rows:
        raise RunError(f"no benchmark in {folder}: `persuade run` makes one")
    agents = list(dict.fromkeys(row.agent for row in rows))
    users = list(dict.fromkeys(row.user_model for row in rows))
    trained = [name for name in ("dpo", "ppo", "rft", "sft") if name in agents]
    agent = agent or (trained or agents)[0]
    user_model = user_model or users[0]
    for what, name, known in (("agent", agent, agents), ("user model", user_model, users)):
        if name not in known:
            raise UnknownNameError(what, name, known)
    if not without_table:
        benchmark_table(rows, load_seconds(results)).print(out, format, wide=wide)
    drawn = draw_dialogues(load_episodes(results, agent, user_model), dialogues, seed)
    if format == "markdown":
        text = dialogues_markdown(agent, user_model, drawn)
        out.file.write("\n" * (bool(drawn) and not without_table) + text)
        return
    for episode in drawn:
        out.print()
        out.print(escape(render_ansi(episode)), highlight=False)

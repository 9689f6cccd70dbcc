"""The `persuade` command."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from experiments.cli import compare as comparison_commands
from experiments.cli import fidelity as user_model_commands
from experiments.cli import judge as judge_commands
from experiments.cli import misconduct as conduct_commands
from experiments.cli import scenarios as scenario_commands
from experiments.cli import train as train_commands
from experiments.cli.options import (
    RUNS,
    Preset,
    RunFolder,
    Scenarios,
    Seed,
    Track,
    TrainUser,
    names_in,
    quiet,
    run_folder,
    run_settings,
)
from experiments.common.console import err, out
from experiments.common.memory import keep_few_kernels, keep_freed_memory
from experiments.common.storage import locked
from persuade_env.errors import PersuadeError, RunError
from persuade_env.scenarios import SPLITS

app = typer.Typer(
    help="Trains and benchmarks persuaders against a learned user.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(train_commands.app, name="train")
app.add_typer(scenario_commands.app, name="scenarios")

_INTERRUPTED = 130


def main() -> None:
    """Runs the command; every error on purpose is one clear line and exit code 1."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    keep_few_kernels()
    keep_freed_memory()
    try:
        app()
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # typer's own answer to Ctrl-C says nothing
            _fail(
                "interrupted; finished work is kept, the same command goes on with it", _INTERRUPTED
            )
        raise
    except PersuadeError as error:
        _fail(str(error), 1)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _fail(f"{error.strerror or error}{where}; finished work is kept", 1)
    except ModuleNotFoundError as error:
        _fail(f"{error.name} is not installed: pip install 'persuade-env[all]'", 1)


def _fail(message: str, code: int) -> None:
    err.print(f"[red]error:[/red] {escape(message)}", soft_wrap=True)
    sys.exit(code)


@app.command()
def run(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
    train_user: TrainUser = "learned",
    until: Annotated[str | None, typer.Option(help="The last stage to make.")] = None,
    track: Track = False,
) -> None:
    """The main job: user models, SFT, preferences, DPO, PPO, benchmark, report.

    Stages whose inputs are unchanged are kept, so a killed run goes on when called again.
    """
    from experiments.benchmark.dialogues import load_rows, load_seconds
    from experiments.benchmark.tables import terminal_table
    from experiments.pipeline import run as pipeline
    from experiments.reporting.html_report import stage_seconds
    from persuade_env.errors import UnknownNameError

    quiet()
    chosen = run_settings(preset, seed, scenarios, train_user)
    if until is not None and until not in pipeline.STAGES:
        raise UnknownNameError("stage", until, pipeline.STAGES)
    folder = run_folder(folder, preset, seed, scenarios, train_user)
    began = time.perf_counter()
    pipeline.run(folder, chosen, until=until, on_progress=lambda line: err.print(escape(line)))
    if until not in (None, "report"):
        return
    place = folder / "benchmark"
    out.print(terminal_table(load_rows(place), load_seconds(place)))
    stages = stage_seconds(folder, pipeline.STAGES)
    parts = ", ".join(f"{name} {value / 60:.1f}" for name, value in stages.items() if value >= 3)
    out.print(f"minutes: {sum(stages.values()) / 60:.1f} in all ({parts})", highlight=False)
    out.print(f"machine: {pipeline.machine()}", highlight=False)
    err.print(f"this call took {(time.perf_counter() - began) / 60:.1f} minutes")
    if track:
        from experiments.reporting.wandb import track as log_run

        out.print(f"tracked: {log_run(folder)}", soft_wrap=True, highlight=False)
    out.print(f"report: {folder / 'report' / 'report.html'}", soft_wrap=True, highlight=False)


@app.command()
def benchmark(
    agents: Annotated[
        str,
        typer.Option(
            help="Comma-separated: controls, prompted, intent-to-strategy, either with =MODEL, "
            "sft, dpo, ppo and grpo (of --run), checkpoint=FOLDER, module:attribute."
        ),
    ],
    user_models: Annotated[
        str,
        typer.Option(
            help="Comma-separated: concerns, learned and held-out (of --run), learned=FOLDER, "
            "prompted, prompted=MODEL, module:attribute; A+B for a population of both."
        ),
    ] = "concerns",
    split: Annotated[str, typer.Option(help=f"One of {', '.join(SPLITS)}.")] = "test",
    scenarios: Annotated[
        Path | None, typer.Option(help="A scenario file in place of the shipped corpus.")
    ] = None,
    run_folder: Annotated[
        Path, typer.Option("--run", help="The run whose trained models are meant.")
    ] = RUNS / "default",
    folder: RunFolder = Path("runs/benchmark"),
    baseline: Annotated[str, typer.Option(help="The agent that win rates compare with.")] = "sft",
    judge: Annotated[
        str,
        typer.Option(help=f"Of win rates: {judge_commands.JUDGES}"),
    ] = "attitude",
    protocol: Annotated[
        str,
        typer.Option(
            help="dialogues, played to their end, or turns: the next response to recorded "
            "histories, against the recorded one."
        ),
    ] = "dialogues",
    episodes: Annotated[int, typer.Option(min=1, help="Dialogues per scenario.")] = 1,
    max_turns: Annotated[int, typer.Option(min=2, help="Persuader turns per dialogue.")] = 5,
    batch_size: Annotated[int, typer.Option(min=1, help="Dialogues side by side.")] = 32,
    seed: Seed = 0,
) -> None:
    """Compares persuaders on held-out scenarios; the table also as JSON and Parquet."""
    from experiments.benchmark.dialogues import BenchmarkSettings
    from experiments.benchmark.tables import terminal_table
    from experiments.common import resolve as names
    from experiments.common.stage import Stage, digest
    from experiments.configs import schema as presets
    from experiments.pipeline import steps as stage_work
    from persuade_env import scenarios as files
    from persuade_env.errors import UnknownNameError
    from persuade_env.registry import load_user_model

    quiet()
    records = files.load(scenarios) if scenarios else files.load_corpus(split)
    agent_specs = {n: names.resolve_agent_spec(run_folder, n) for n in names_in(agents)}
    user_specs = {n: names.resolve_user_spec(run_folder, n) for n in names_in(user_models)}
    # A name that doesn't exist is worth knowing before the first hour, not after.
    from agents.registry import load_agent

    for spec in agent_specs.values():
        load_agent(spec)
    for spec in user_specs.values():
        load_user_model(spec)
    checkpoints = {
        spec: digest(Path(spec.partition("=")[2]))
        for spec in (*agent_specs.values(), *user_specs.values())
        if spec.startswith(("checkpoint=", "learned="))
    }
    if protocol == "turns":
        judge_commands.benchmark_turns(
            agent_specs,
            user_specs,
            checkpoints,
            records,
            folder,
            judge=judge,
            batch_size=batch_size,
            seed=seed,
        )
        return
    if protocol != "dialogues":
        raise UnknownNameError("protocol", protocol, ["dialogues", "turns"])
    settings = presets.RunSettings(
        seed=seed,
        benchmark=BenchmarkSettings(
            episodes_per_scenario=episodes,
            max_turns=max_turns,
            batch_size=batch_size,
            baseline=baseline,
            judge=judge,
        ),
    )
    rows: list[Any] = []

    def make(place: Path) -> None:
        chosen = [record.scenario for record in records]
        rows.extend(stage_work.benchmark(agent_specs, user_specs, chosen, place, settings))

    stage = Stage(
        folder.name,
        make,
        {
            "agents": agent_specs,
            "user_models": user_specs,
            "checkpoints": checkpoints,
            "scenarios": [record.model_dump(mode="json") for record in records],
            "settings": asdict(settings.benchmark),
            "judge": judge_commands.judge_inputs(judge),
            "seed": seed,
        },
    )
    with locked(folder.parent / f".{folder.name}"):
        stage.run(folder.parent)
    from experiments.benchmark.dialogues import load_rows, load_seconds

    out.print(terminal_table(rows or load_rows(folder), load_seconds(folder)))
    out.print(f"results: {folder / 'results.json'}, {folder / 'results.parquet'}", soft_wrap=True)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    dialogues: Annotated[int, typer.Option(min=0, help="Dialogues to print.")] = 2,
    agent: Annotated[str, typer.Option(help="Whose dialogues.")] = "dpo",
    user_model: Annotated[str, typer.Option(help="Against whom.")] = "learned",
    wide: Annotated[bool, typer.Option("--wide", help="Every metric.")] = False,
) -> None:
    """Prints a run's table and some of its dialogues."""
    from experiments.benchmark.dialogues import load_episodes, load_rows, load_seconds
    from experiments.benchmark.tables import terminal_table
    from persuade_env.envs.rendering import render_ansi
    from persuade_env.errors import UnknownNameError

    place = folder / "benchmark" if (folder / "benchmark").is_dir() else folder
    rows = load_rows(place)
    if not rows:
        raise RunError(f"no benchmark in {folder}: `persuade run` makes one")
    out.print(terminal_table(rows, load_seconds(place), wide=wide))
    for what, name, known in (
        ("agent", agent, [row.agent for row in rows]),
        ("user model", user_model, [row.user_model for row in rows]),
    ):
        if dialogues and name not in known:
            raise UnknownNameError(what, name, list(dict.fromkeys(known)))
    for episode in load_episodes(place, agent, user_model)[:dialogues] if dialogues else []:
        out.print()
        out.print(escape(render_ansi(episode)), highlight=False)


@app.command()
def play(
    side: Annotated[str, typer.Option(help="Yours: persuader or persuadee.")] = "persuader",
    user_model: Annotated[str, typer.Option(help="Whom you talk to as persuader.")] = "concerns",
    agent: Annotated[str, typer.Option(help="Who talks to you as persuadee.")] = "dpo",
    scenario: Annotated[str | None, typer.Option(help="A scenario's id.")] = None,
    run_folder: Annotated[
        Path, typer.Option("--run", help="The run whose trained models are meant.")
    ] = RUNS / "default",
    max_turns: Annotated[int, typer.Option(min=2)] = 6,
    seed: Annotated[int | None, typer.Option(help="For the same dialogue again.")] = None,
) -> None:
    """You against a model, in the terminal. An empty line as persuader is silence; Ctrl-D ends."""
    from experiments.common import resolve as names
    from experiments.studio.terminal import play_persuadee, play_persuader
    from persuade_env.errors import UnknownNameError

    if side == "persuader":
        play_persuader(
            out, names.resolve_user_spec(run_folder, user_model), scenario, max_turns, seed
        )
    elif side == "persuadee":
        quiet()
        play_persuadee(out, names.resolve_agent_spec(run_folder, agent), scenario, max_turns, seed)
    else:
        raise UnknownNameError("side", side, ["persuader", "persuadee"])


app.command("compare")(comparison_commands.compare)
app.command("fidelity")(user_model_commands.fidelity)
app.command("perplexity")(user_model_commands.perplexity_of)
app.command("audit-judge")(judge_commands.audit_judge)
app.command("conduct")(conduct_commands.conduct)

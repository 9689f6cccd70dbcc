"""The `persuade` command."""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from experiments import conduct_commands, judge_commands, scenario_commands
from experiments.console import err, out
from experiments.memory import keep_freed_memory
from experiments.storage import locked
from persuade_env.errors import PersuadeError, RunError
from persuade_env.scenarios import SPLITS

if TYPE_CHECKING:
    from experiments.presets import RunSettings

app = typer.Typer(
    help="Trains and benchmarks persuaders against a learned user.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
train_app = typer.Typer(help="Trains one model.", no_args_is_help=True)
app.add_typer(train_app, name="train")
app.add_typer(scenario_commands.app, name="scenarios")

_INTERRUPTED = 130
RUNS = Path("runs")
RunFolder = Annotated[Path, typer.Option("--out", help="The run's folder.", show_default=False)]
Preset = Annotated[str, typer.Option(help="Settings by name: default, smoke.")]
Seed = Annotated[int, typer.Option(help="Of everything that is drawn.")]
Scenarios = Annotated[
    Path | None,
    typer.Option(help="A scenario file to train and test on in place of the shipped corpus."),
]


def main() -> None:
    """Runs the command; every error on purpose is one clear line and exit code 1."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
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


def _quiet() -> None:
    """Keeps libraries from writing over the progress bars."""
    import logging
    import warnings

    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)
    logging.getLogger("httpx").setLevel(logging.WARNING)


@app.command()
def run(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
    until: Annotated[str | None, typer.Option(help="The last stage to make.")] = None,
    track: Annotated[bool, typer.Option("--track", help="Log to Weights & Biases.")] = False,
) -> None:
    """The main job: user models, SFT, preferences, DPO, benchmark, report.

    Stages whose inputs are unchanged are kept, so a killed run goes on when called again.
    """
    from experiments import pipeline
    from experiments import presets as settings
    from experiments.benchmark import load_rows, load_seconds
    from experiments.report import stage_seconds
    from experiments.tables import terminal_table
    from persuade_env.errors import UnknownNameError

    _quiet()
    chosen = _chosen(settings.preset(preset), seed, scenarios)
    if until is not None and until not in pipeline.STAGES:
        raise UnknownNameError("stage", until, pipeline.STAGES)
    if folder == Path():
        folder = RUNS / (preset if seed == 0 else f"{preset}-{seed}")
    began = time.perf_counter()
    pipeline.run(folder, chosen, until=until, say=lambda line: err.print(escape(line)))
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
        from experiments.tracking import track as log_run

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
            "prompted, prompted=MODEL, module:attribute."
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
    from experiments import names, pipeline, presets
    from experiments.benchmark import BenchmarkSettings
    from experiments.stages import Stage, digest
    from experiments.tables import terminal_table
    from persuade_env import scenarios as files
    from persuade_env.errors import UnknownNameError
    from persuade_env.registry import load_user_model

    _quiet()
    records = files.load(scenarios) if scenarios else files.load_corpus(split)
    agent_specs = {n: names.agent_in(run_folder, n) for n in _names(agents)}
    user_specs = {n: names.user_model_in(run_folder, n) for n in _names(user_models)}
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
        rows.extend(pipeline.benchmark(agent_specs, user_specs, chosen, place, settings))

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
    from experiments.benchmark import load_rows, load_seconds

    out.print(terminal_table(rows or load_rows(folder), load_seconds(folder)))
    out.print(f"results: {folder / 'results.json'}, {folder / 'results.parquet'}", soft_wrap=True)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter("name at least one")
    return names


@app.command()
def fidelity(
    user_model: Annotated[
        str,
        typer.Option(
            help="concerns, learned or held-out (of --run), learned=FOLDER, prompted=MODEL, "
            "module:attribute."
        ),
    ] = "learned",
    split: Annotated[str, typer.Option(help=f"One of {', '.join(SPLITS)}.")] = "test",
    scenarios: Annotated[
        Path | None, typer.Option(help="A scenario file in place of the shipped corpus.")
    ] = None,
    run_folder: Annotated[
        Path, typer.Option("--run", help="The run whose trained models are meant.")
    ] = RUNS / "default",
    folder: Annotated[Path, typer.Option("--out", help="Where the card goes.")] = RUNS / "fidelity",
    seed: Seed = 0,
) -> None:
    """Whether a user model can be trusted: its answers where it is known what people do."""
    from experiments import names
    from experiments.card import card_table, write_card
    from experiments.fidelity import fidelity_card
    from experiments.progress import bar
    from persuade_env import scenarios as files
    from persuade_env.registry import load_user_model

    _quiet()
    records = files.load(scenarios) if scenarios else files.load_corpus(split)
    model = load_user_model(names.user_model_in(run_folder, user_model))
    with bar("fidelity", None, "reply") as shown:

        def progress(test: str, count: int) -> None:
            shown.set_postfix_str(test, refresh=False)
            shown.update(count)

        measures = fidelity_card(model, records, seed=seed, progress=progress)
    source = str(scenarios) if scenarios else split
    place = folder / re.sub(r"[^\w-]+", "-", user_model)
    write_card(measures, place, {"user_model": user_model, "scenarios": source, "seed": seed})
    out.print(card_table(measures, f"{user_model} on {len(records)} scenarios of {source}"))
    failed = sum(one.passed is False for one in measures)
    out.print(f"{failed} of {sum(one.passed is not None for one in measures)} bars missed")
    out.print(f"card: {place / 'card.md'}", soft_wrap=True, highlight=False)


@app.command("perplexity")
def perplexity_of(
    user_models: Annotated[
        str,
        typer.Option(
            help="Comma-separated: learned and held-out (of --run), learned=FOLDER; untuned, the "
            "model that they were trained from; unigram, word frequencies of the corpus; "
            "copy-last, these mixed with the persuader's last words."
        ),
    ] = "learned,untuned,unigram,copy-last",
    file: Annotated[
        Path | None, typer.Argument(help="Recorded dialogues; the corpus's --split by default.")
    ] = None,
    format: Annotated[str, typer.Option(help="Of the file.")] = "persuade_env",
    split: Annotated[str, typer.Option(help=f"One of {', '.join(SPLITS)}.")] = "test",
    limit: Annotated[int, typer.Option(min=1, help="Scenarios, spread over the file.")] = 100,
    run_folder: Annotated[
        Path, typer.Option("--run", help="The run whose trained models are meant.")
    ] = RUNS / "default",
    by_domain: Annotated[bool, typer.Option("--by-domain", help="A row for each domain.")] = False,
) -> None:
    """How well learned users foresee what recorded persuadees said; lower is better."""
    from experiments.perplexity import (
        domain_perplexities,
        likelihoods,
        perplexity,
        perplexity_table,
        sample,
    )
    from experiments.progress import bar
    from persuade_env import scenarios as files

    _quiet()
    records = sample(files.load(file, format) if file else files.load_corpus(split), limit)
    dialogues = sum(len(record.dialogues) for record in records)
    columns = {}
    for name in _names(user_models):
        with bar(name, dialogues, "dialogue") as shown:
            known = likelihoods(name, run_folder, records, shown.update)
        found = perplexity(known)
        columns[name] = domain_perplexities(known, records) if by_domain else {}
        out.print(
            f"{name}: perplexity {found.estimate}, {found.scenarios} scenarios, "
            f"{found.tokens} tokens",
            highlight=False,
            markup=False,
        )
    if by_domain:
        out.print(perplexity_table(columns))


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    dialogues: Annotated[int, typer.Option(min=0, help="Dialogues to print.")] = 2,
    agent: Annotated[str, typer.Option(help="Whose dialogues.")] = "dpo",
    user_model: Annotated[str, typer.Option(help="Against whom.")] = "learned",
    wide: Annotated[bool, typer.Option("--wide", help="Every metric.")] = False,
) -> None:
    """Prints a run's table and some of its dialogues."""
    from experiments.benchmark import load_episodes, load_rows, load_seconds
    from experiments.tables import terminal_table
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
    from experiments import names
    from experiments.play import play_persuadee, play_persuader
    from persuade_env.errors import UnknownNameError

    if side == "persuader":
        play_persuader(out, names.user_model_in(run_folder, user_model), scenario, max_turns, seed)
    elif side == "persuadee":
        _quiet()
        play_persuadee(out, names.agent_in(run_folder, agent), scenario, max_turns, seed)
    else:
        raise UnknownNameError("side", side, ["persuader", "persuadee"])


def _chosen(preset: RunSettings, seed: int, scenarios: Path | None) -> RunSettings:
    return replace(preset, seed=seed, scenarios=None if scenarios is None else str(scenarios))


def _train(stage: str, preset: str, folder: Path, seed: int, scenarios: Path | None) -> None:
    from experiments import pipeline, presets

    _quiet()
    if folder == Path():
        folder = RUNS / (preset if seed == 0 else f"{preset}-{seed}")
    settings = _chosen(presets.preset(preset), seed, scenarios)
    pipeline.run(folder, settings, until=stage, say=lambda line: err.print(escape(line)))
    out.print(f"checkpoint: {folder / stage}", soft_wrap=True, highlight=False)


@train_app.command("user-model")
def train_user_model(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
) -> None:
    """The learned user, on half of the training scenarios."""
    _train("user-model", preset, folder, seed, scenarios)


@train_app.command("sft")
def train_sft(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
) -> None:
    """The SFT persuader, with the stages before it."""
    _train("sft", preset, folder, seed, scenarios)


@train_app.command("dpo")
def train_dpo(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
) -> None:
    """The DPO persuader, with the stages before it."""
    _train("dpo", preset, folder, seed, scenarios)


@train_app.command("ppo")
def train_ppo(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
) -> None:
    """The PPO persuader, against the learned user, with the stages before it."""
    _reinforce("ppo", preset, folder, seed, scenarios)


@train_app.command("grpo")
def train_grpo(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
) -> None:
    """The GRPO persuader, against the learned user, with the stages before it."""
    _reinforce("grpo", preset, folder, seed, scenarios)


def _reinforce(
    algorithm: str, preset: str, folder: Path, seed: int, scenarios: Path | None
) -> None:
    from experiments import presets, reinforcement

    _quiet()
    if folder == Path():
        folder = RUNS / (preset if seed == 0 else f"{preset}-{seed}")
    settings = _chosen(presets.preset(preset), seed, scenarios)
    reinforcement.train(folder, settings, algorithm, say=lambda line: err.print(escape(line)))
    out.print(f"checkpoint: {folder / algorithm}", soft_wrap=True, highlight=False)


app.command("audit-judge")(judge_commands.audit_judge)
app.command("conduct")(conduct_commands.conduct)

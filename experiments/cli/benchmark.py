"""`persuade benchmark`: persuaders against user models, on held-out scenarios."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from experiments.cli.options import (
    RUNS,
    Format,
    Fresh,
    OfRun,
    ScenarioFile,
    Seed,
    Split,
    TensorBoard,
    Track,
    Wide,
    names_in,
    trackers,
)
from experiments.common.console import err, out, quiet_libraries
from experiments.common.table import check_format
from persuade_env.episode import DEFAULT_MAX_TURNS
from persuade_env.errors import UnknownNameError
from persuade_env.spec import hide_password

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persuade_env.dialogue import ScenarioRecord
    from persuade_env.spec import Spec

PROTOCOLS = ("dialogues", "turns")
JUDGES = (
    "attitude (the user model's own), learned, learned=FILE, or a chat model: embedded, a "
    "Hugging Face id or path, URL#MODEL of an OpenAI-compatible server."
)


def benchmark(
    agents: Annotated[
        str,
        typer.Option(
            help="Comma-separated: silent, naive, repeating, flattering, off-topic (controls), "
            "prompted, intent-to-strategy, either with =MODEL, sft, rft, dpo, ppo, grpo, "
            "rerank-N and best-of-N (of --run), checkpoint=FOLDER, module:attribute."
        ),
    ],
    user_models: Annotated[
        str,
        typer.Option(
            help="Comma-separated: concerns, learned and held-out (of --run), learned=FOLDER, "
            "prompted, prompted=MODEL, module:attribute; A+B for an ensemble of both."
        ),
    ] = "concerns",
    split: Split = "test",
    scenarios: ScenarioFile = None,
    run_folder: OfRun = RUNS / "default",
    folder: Annotated[Path, typer.Option("--out", help="The benchmark's folder.")] = RUNS
    / "benchmark",
    baseline: Annotated[str, typer.Option(help="The agent that win rates compare with.")] = "sft",
    judge: Annotated[str, typer.Option(help=f"Of win rates: {JUDGES}")] = "attitude",
    protocol: Annotated[
        str,
        typer.Option(
            help="dialogues, played to their end, or turns: the next response to recorded "
            "histories, against the recorded one."
        ),
    ] = "dialogues",
    episodes: Annotated[int, typer.Option(min=1, help="Dialogues per scenario.")] = 1,
    max_turns: Annotated[
        int, typer.Option(min=2, help="Persuader turns per dialogue.")
    ] = DEFAULT_MAX_TURNS,
    batch_size: Annotated[int, typer.Option(min=1, help="Dialogues side by side.")] = 32,
    max_reply_tokens: Annotated[
        int | None, typer.Option(min=1, help="Of persuaders and learned users alike.")
    ] = None,
    seed: Seed = 0,
    fresh: Fresh = False,
    track: Track = False,
    tensorboard: TensorBoard = False,
    wide: Wide = False,
    format: Format = "table",
) -> None:
    """Compares persuaders on held-out scenarios; the table also as JSON and Parquet.

    Agents and user models are added to what the folder holds; a folder of other conditions is
    refused, or moved aside with --fresh.
    """
    from experiments.common import resolve

    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    check_format(format)
    folder = folder.resolve()
    agent_specs = {
        hide_password(name): resolve.resolve_agent_spec(run_folder, name)
        for name in names_in(agents)
    }
    user_specs = {
        hide_password(name): resolve.resolve_user_spec(run_folder, name)
        for name in names_in(user_models)
    }
    # A name that doesn't exist is worth knowing before the first hour, not after.
    for spec in agent_specs.values():
        resolve.validate_resolved_agent(spec)
    for spec in user_specs.values():
        resolve.validate_resolved_user(spec)
    resolve.validate_judge(judge)

    from persuade_env import scenarios as files

    records = files.load_source(scenarios, split)
    quiet_libraries()
    if protocol == "turns":
        _benchmark_turns(agent_specs, user_specs, records, folder, judge, batch_size, seed, fresh)
        return

    from experiments.benchmark.config import BenchmarkSettings
    from experiments.benchmark.dialogues import load_seconds
    from experiments.benchmark.folder import BenchmarkFolder
    from experiments.benchmark.summary import require_dialogues
    from experiments.benchmark.tables import benchmark_table
    from experiments.common.progress import counting_bar
    from experiments.common.storage import locked
    from experiments.reporting.metrics import live_metrics
    from persuade_env.llm.pool import ModelPool

    settings = BenchmarkSettings(
        episodes_per_scenario=episodes,
        max_turns=max_turns,
        batch_size=batch_size,
        baseline=baseline,
        judge=judge,
        seed=seed,
    )
    if track:
        from experiments.reporting.wandb import check_tracking

        err.print(check_tracking(), highlight=False)
    place = BenchmarkFolder(
        folder, [record.scenario for record in records], settings, max_reply_tokens
    )
    dialogues = len(agent_specs) * len(user_specs) * len(records) * episodes
    with (
        locked(folder.parent / f".{folder.name}"),
        ModelPool() as models,
        live_metrics(folder, trackers(track, tensorboard), settings) as metrics,
        counting_bar("benchmark", dialogues, "dialogue") as progress,
    ):
        rows = place.add(
            agent_specs, user_specs, models, fresh=fresh, progress=progress, metrics=metrics
        )
    benchmark_table(rows, load_seconds(folder)).print(out, format, wide=wide)
    err.print(f"results: {folder / 'results.json'}", soft_wrap=True, highlight=False)
    require_dialogues(row for row in rows if row.agent in agent_specs)


def _benchmark_turns(
    agents: Mapping[str, Spec],
    user_models: Mapping[str, Spec],
    records: Sequence[ScenarioRecord],
    folder: Path,
    judge: str,
    batch_size: int,
    seed: int,
    fresh: bool,
) -> None:
    """The turn-level protocol: makes `FOLDER-turns` beside the benchmark's folder, and shows it."""
    from experiments.benchmark.config import TurnSettings
    from experiments.benchmark.turns import TurnRow, history_points, run_turns, turns_table
    from experiments.common.progress import counting_bar
    from experiments.common.resolve import agent_loader, checkpoint_digests, user_model_loader
    from experiments.common.stage import Stage, digest_of
    from experiments.common.storage import locked, read_json
    from experiments.pipeline.data import dump
    from persuade_env.llm.pool import ModelPool

    settings = TurnSettings(batch_size=batch_size, judge=judge, seed=seed)
    models = ModelPool()

    def make(place: Path) -> None:
        count = len(history_points(records, settings.turns_per_dialogue)) * len(agents)
        count *= len(user_models) if judge == "attitude" else 1
        with counting_bar("turns", count, "response") as progress:
            run_turns(
                {name: agent_loader(spec, models) for name, spec in agents.items()},
                {name: user_model_loader(spec, models) for name, spec in user_models.items()},
                records,
                place,
                settings,
                progress,
            )

    specs = {**agents, **user_models}
    inputs: dict[str, Any] = {
        "agents": {name: str(spec) for name, spec in agents.items()},
        "user_models": {name: str(spec) for name, spec in user_models.items()},
        "checkpoints": {
            name: sorted(checkpoint_digests(spec).values()) for name, spec in specs.items()
        },
        "scenarios": digest_of(dump(records)),
        "settings": asdict(settings),
        "judge": judge_inputs(judge),
    }
    target = folder.with_name(f"{folder.name}-turns")
    with locked(target.parent / f".{target.name}"):
        Stage(target.name, make, inputs).run(target.parent, fresh=fresh)
    stored = read_json(target / "turns.json")
    out.print(turns_table([TurnRow.from_json(row) for row in stored["rows"]]))
    err.print(f"results: {target / 'turns.json'}", soft_wrap=True, highlight=False)


def judge_inputs(judge: str) -> str:
    """What a stage's result depends on: the judge's name, or what its file holds."""
    name, has_file, file = judge.partition("=")
    return Path(file).read_text(encoding="utf-8") if has_file and name == "learned" else judge

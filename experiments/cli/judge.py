"""`persuade audit-judge`, and the turn-level protocol of `persuade benchmark`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from experiments.common.console import out
from experiments.common.storage import read_json
from persuade_env.dialogue import ScenarioRecord
from persuade_env.scenarios import SPLITS

JUDGES = (
    "attitude (the user model's own), learned, learned=FILE, or a chat model: embedded, a "
    "Hugging Face id or path, URL#MODEL of an OpenAI-compatible server."
)


def audit_judge(
    judge: Annotated[str, typer.Option(help=JUDGES)] = "learned",
    split: Annotated[str, typer.Option(help=f"One of {', '.join(SPLITS)}.")] = "test",
    scenarios: Annotated[
        Path | None, typer.Option(help="A scenario file in place of the shipped corpus.")
    ] = None,
    folder: Annotated[Path, typer.Option("--out", help="Where the card goes.")] = Path(
        "runs/judges"
    ),
    limit: Annotated[
        int | None,
        typer.Option(min=2, help="Scenarios, spread over the split; a chat model is slow."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
) -> None:
    """Whether a judge can be trusted: its verdicts where the better dialogue is known."""
    from experiments.common.measures import measures_table, write_measures
    from experiments.common.progress import bar
    from experiments.judging.audit import PLOTTED, audit
    from persuade_env import scenarios as files
    from persuade_env.judges.attitude import shown_judge

    corpus = files.load(scenarios) if scenarios else files.load_corpus()
    records = corpus if scenarios else files.load_corpus(split)
    shown = shown_judge(judge)
    place = folder / re.sub(r"[^\w-]+", "-", shown)
    with bar("judge", None, "verdict") as progress_bar:

        def progress(test: str, count: int) -> None:
            progress_bar.set_postfix_str(test, refresh=False)
            progress_bar.update(count)

        measures = audit(judge, records, corpus, place, limit=limit, seed=seed, progress=progress)
    source = str(scenarios) if scenarios else split
    provenance = {"judge": shown, "scenarios": source, "limit": limit, "seed": seed}
    write_measures(measures, place, provenance, plotted=PLOTTED, axis="share of verdicts")
    out.print(measures_table(measures, f"{shown} on {limit or len(records)} scenarios of {source}"))
    failed = sum(one.passed is False for one in measures)
    out.print(f"{failed} of {sum(one.passed is not None for one in measures)} bars missed")
    out.print(f"card: {place / 'card.md'}", soft_wrap=True, highlight=False)


def judge_inputs(judge: str) -> str:
    """What a stage's result depends on: the judge's name, or what its file holds."""
    name, has_file, file = judge.partition("=")
    return Path(file).read_text(encoding="utf-8") if has_file and name == "learned" else judge


def benchmark_turns(
    agents: Mapping[str, str],
    user_models: Mapping[str, str],
    checkpoints: Mapping[str, str],
    records: Sequence[ScenarioRecord],
    folder: Path,
    *,
    judge: str,
    batch_size: int,
    seed: int,
) -> None:
    """The turn-level protocol: makes `FOLDER-turns` beside the benchmark's folder, and shows it.

    Args:
        agents, user_models: specs by the name to show.
        checkpoints: digests of the folders among the specs.
    """
    from experiments.benchmark.turns import (
        TurnRow,
        TurnSettings,
        history_points,
        run_turns,
        turns_table,
    )
    from experiments.common import resolve as names
    from experiments.common.progress import bar
    from experiments.common.stage import Stage
    from experiments.common.storage import locked
    from experiments.configs import schema as presets

    settings = TurnSettings(batch_size=batch_size, judge=judge, seed=seed)
    limit = presets.RunSettings().max_reply_tokens

    def make(place: Path) -> None:
        count = len(history_points(records, settings.turns_per_dialogue)) * len(agents)
        count *= len(user_models) if judge == "attitude" else 1
        with bar("turns", count, "response") as shown:

            def progress(pair: str, done: int) -> None:
                shown.set_postfix_str(pair, refresh=False)
                shown.update(done)

            run_turns(
                {name: names.agent_loader(spec, limit) for name, spec in agents.items()},
                {name: names.user_model_loader(spec, limit) for name, spec in user_models.items()},
                records,
                place,
                settings,
                progress,
            )

    inputs: dict[str, Any] = {
        "agents": dict(agents),
        "user_models": dict(user_models),
        "checkpoints": dict(checkpoints),
        "scenarios": [record.model_dump(mode="json") for record in records],
        "settings": asdict(settings),
        "judge": judge_inputs(judge),
    }
    target = folder.with_name(f"{folder.name}-turns")
    with locked(target.parent / f".{target.name}"):
        Stage(target.name, make, inputs).run(target.parent)
    stored = read_json(target / "turns.json")
    out.print(turns_table([TurnRow.from_json(row) for row in stored["rows"]]))
    out.print(f"results: {target / 'turns.json'}", soft_wrap=True, highlight=False)

"""Measures whether memory grows over a thousand dialogues of two language models.

    python -m experiments.performance.memory --run runs/default

The SFT persuader and the learned user of a run play dialogues of the training scenarios in batches
in one process, whose resident memory is read after each batch. The prompt caches grow up to their
limit, so memory grows in the first batches; a leak shows in the second half of the batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import typer
from rich.console import Console

from experiments.common.console import quiet_libraries
from experiments.common.memory import keep_few_kernels, keep_freed_memory
from experiments.common.progress import progress_bar
from experiments.common.resolve import agent_loader, resolve_agent_spec, resolve_user_spec
from experiments.common.storage import write_json
from persuade_env.dialogue import Scenario
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import Persuader, UserModel
from persuade_env.registry import load_user_model
from persuade_env.rollout import rollout
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import derive_seed

MIB = 2**20


@dataclass(frozen=True)
class MemoryReading:
    """The resident memory of the process after a batch.

    >>> MemoryReading(dialogues=32, mebibytes=1500.0).dialogues
    32
    """

    dialogues: int
    """Number of dialogues so far."""
    mebibytes: float


def resident_mebibytes() -> float:
    """The resident memory of this process in mebibytes."""
    return float(psutil.Process().memory_info().rss) / MIB


def measure(
    persuader: Persuader,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    dialogues: int,
    width: int,
    max_turns: int,
    read_memory: Callable[[], float] = resident_mebibytes,
) -> Iterator[MemoryReading]:
    """Plays dialogues in batches and yields the memory after each batch.

    Args:
        persuader: one side.
        user_model: the other side.
        scenarios: used in turn.
        dialogues: how many in all.
        width: dialogues per batch.
        max_turns: persuader turns per dialogue.
        read_memory: gives the current memory in mebibytes.
    """
    for start in range(0, dialogues, width):
        indices = range(start, min(start + width, dialogues))
        rollout(
            persuader,
            user_model,
            [scenarios[index % len(scenarios)] for index in indices],
            [derive_seed(0, "memory", index) for index in indices],
            max_turns=max_turns,
        )
        yield MemoryReading(indices.stop, read_memory())


def growth_per_100_dialogues(readings: Sequence[MemoryReading]) -> float:
    """The slope in mebibytes per 100 dialogues, by least squares over the later half of readings.

    >>> readings = [MemoryReading(n, 10.0 + n) for n in (10, 20, 30, 40)]
    >>> round(growth_per_100_dialogues(readings), 3)
    100.0

    Returns:
        NaN with fewer than two readings in the later half.
    """
    later = readings[len(readings) // 2 :]
    if len(later) < 2:
        return float("nan")
    slope, _ = np.polyfit(
        [reading.dialogues for reading in later], [reading.mebibytes for reading in later], 1
    )
    return 100 * float(slope)


def main(
    run: Annotated[Path, typer.Option(help="Folder of the run with the models.")] = Path(
        "runs/default"
    ),
    dialogues: Annotated[int, typer.Option(min=4)] = 1000,
    width: Annotated[int, typer.Option(min=1, help="Dialogues per batch.")] = 32,
    turns: Annotated[int, typer.Option(min=2, help="Persuader turns at most.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for memory.json.")] = Path("runs/memory"),
) -> None:
    """Plays many dialogues and records the memory."""
    quiet_libraries()
    keep_few_kernels()  # as `persuade` does
    keep_freed_memory()
    models = ModelPool()
    persuader = agent_loader(resolve_agent_spec(run, "sft"), models)()
    user_model = load_user_model(resolve_user_spec(run, "learned"), models)
    scenarios = [record.scenario for record in load_corpus("train")]
    loaded, readings = resident_mebibytes(), []
    with progress_bar("memory", dialogues, "dialogue") as progress:
        for reading in measure(persuader, user_model, scenarios, dialogues, width, turns):
            progress.update(reading.dialogues - progress.n)
            progress.set_postfix_str(f"{reading.mebibytes:.0f} MiB", refresh=False)
            readings.append(reading)
    most = max(reading.mebibytes for reading in readings)
    growth = growth_per_100_dialogues(readings)
    Console(width=100).print(
        f"models loaded: {loaded:.0f} MiB; most after a batch: {most:.0f} MiB; after the last: "
        f"{readings[-1].mebibytes:.0f} MiB\nsecond half: {growth:+.1f} MiB per 100 dialogues",
        highlight=False,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_json(
        out / "memory.json",
        {
            "loaded": loaded,
            "width": width,
            "growth_per_100": growth,
            "batches": [asdict(reading) for reading in readings],
        },
    )


if __name__ == "__main__":
    typer.run(main)

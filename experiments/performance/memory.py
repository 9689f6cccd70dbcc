"""Whether memory stays flat over a thousand dialogues of two language models.

    python -m experiments.performance.memory --run runs/default

The SFT persuader and the learned user of a run play dialogues of the training scenarios, side by
side, batch after batch in one process; what the process holds is read after each batch. What was
read of prompts is kept up to a limit, so memory grows until that is full: flat means that it then
grows no more, which the second half of the batches shows.
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
class Held:
    """What the process held after a batch."""

    dialogues: int
    """Played so far."""
    mebibytes: float


def resident() -> float:
    """Mebibytes of memory that this process holds now."""
    return float(psutil.Process().memory_info().rss) / MIB


def play(
    persuader: Persuader,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    dialogues: int,
    width: int,
    max_turns: int,
    measure: Callable[[], float] = resident,
) -> Iterator[Held]:
    """Plays dialogues in batches of `width`, and tells of each batch what is held after it."""
    for start in range(0, dialogues, width):
        places = range(start, min(start + width, dialogues))
        rollout(
            persuader,
            user_model,
            [scenarios[place % len(scenarios)] for place in places],
            [derive_seed(0, "memory", place) for place in places],
            max_turns=max_turns,
        )
        yield Held(places.stop, measure())


def growth(held: Sequence[Held]) -> float:
    """Mebibytes per 100 dialogues, by least squares over the second half of the batches."""
    later = held[len(held) // 2 :]
    if len(later) < 2:
        return float("nan")
    slope, _ = np.polyfit([one.dialogues for one in later], [one.mebibytes for one in later], 1)
    return 100 * float(slope)


def main(
    run: Annotated[Path, typer.Option(help="The run whose models are meant.")] = Path(
        "runs/default"
    ),
    dialogues: Annotated[int, typer.Option(min=4)] = 1000,
    width: Annotated[int, typer.Option(min=1, help="Dialogues side by side.")] = 32,
    turns: Annotated[int, typer.Option(min=2, help="Persuader turns at most.")] = 3,
    out: Annotated[Path, typer.Option(help="Where memory.json goes.")] = Path("runs/memory"),
) -> None:
    """Plays many dialogues and watches the memory."""
    quiet_libraries()
    keep_few_kernels()  # as `persuade` does
    keep_freed_memory()
    models = ModelPool()
    persuader = agent_loader(resolve_agent_spec(run, "sft"), models)()
    user_model = load_user_model(resolve_user_spec(run, "learned"), models)
    scenarios = [record.scenario for record in load_corpus("train")]
    loaded, held = resident(), []
    with progress_bar("memory", dialogues, "dialogue") as shown:
        for one in play(persuader, user_model, scenarios, dialogues, width, turns):
            shown.update(one.dialogues - shown.n)
            shown.set_postfix_str(f"{one.mebibytes:.0f} MiB", refresh=False)
            held.append(one)
    most = max(one.mebibytes for one in held)
    Console(width=100).print(
        f"models loaded: {loaded:.0f} MiB; most after a batch: {most:.0f} MiB; after the last: "
        f"{held[-1].mebibytes:.0f} MiB\nsecond half: {growth(held):+.1f} MiB per 100 dialogues",
        highlight=False,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_json(
        out / "memory.json",
        {
            "loaded": loaded,
            "width": width,
            "growth_per_100": growth(held),
            "batches": [asdict(one) for one in held],
        },
    )


if __name__ == "__main__":
    typer.run(main)

"""How fast the environments step with the `concerns` user, beside Gymnasium's `SyncVectorEnv`.

    python -m experiments.performance.env_steps

Contestants, on the same scenarios and actions in one process: a single environment, this suite's
vector environment at several widths, and Gymnasium's `SyncVectorEnv` over as many single ones.
Every action is a text that was never seen before, so each is embedded: what that alone takes is
measured too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
import typer
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from rich.console import Console
from rich.table import Table

import persuade_env  # noqa: F401 - registers the environments
from experiments.common.storage import write_json
from persuade_env.dialogue import PersuaderTurn
from persuade_env.scenarios import load_corpus
from persuade_env.text.embedding import Embedder

ENV = "persuade_env/Persuasion-v0"


@dataclass(frozen=True)
class Paced:
    """How fast a contestant was."""

    name: str
    width: int
    steps: int
    milliseconds: float
    """Of a step, median."""

    @property
    def turns_per_second(self) -> float:
        return 1000 * self.width / self.milliseconds


def new_texts() -> Iterator[str]:
    """Recorded persuader turns, each with a number that makes it one of a kind."""
    said = [
        turn.response
        for record in load_corpus("train")
        for recorded in record.dialogues
        for turn in record.dialogue(recorded).turns
        if isinstance(turn, PersuaderTurn)
    ]
    for number in count():
        yield f"{said[number % len(said)]} {number}"


def pace(name: str, width: int, steps: int, step: Callable[[list[str]], Any]) -> Paced:
    """Times `step` on new texts; the texts are made outside the clock."""
    texts = new_texts()
    times = []
    for _ in range(steps + 3):
        actions = [next(texts) for _ in range(width)]
        began = time.perf_counter()
        step(actions)
        times.append(time.perf_counter() - began)
    return Paced(name, width, steps, 1000 * float(np.median(times[3:])))  # the first ones load


def single(steps: int) -> Paced:
    """One environment, reset when an episode is over; the reset counts."""
    env = gym.make(ENV, user_model="concerns", scenarios="train")
    env.reset(seed=0)

    def step(actions: list[str]) -> None:
        _, _, terminated, truncated, _ = env.step(actions[0])
        if terminated or truncated:
            env.reset()

    return pace("single environment", 1, steps, step)


def ours(width: int, steps: int) -> Paced:
    """This suite's vector environment."""
    envs = gym.make_vec(
        ENV,
        num_envs=width,
        user_model="concerns",
        scenarios="train",
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    envs.reset(seed=0)
    return pace("vector environment", width, steps, lambda actions: envs.step(actions))


def gymnasiums(width: int, steps: int) -> Paced:
    """Gymnasium's vector environment over single ones, one after the other."""
    envs: Any = SyncVectorEnv(
        [lambda: gym.make(ENV, user_model="concerns", scenarios="train")] * width,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    envs.reset(seed=0)
    return pace("SyncVectorEnv", width, steps, lambda actions: envs.step(actions))


def embedding(width: int, steps: int) -> Paced:
    """Nothing but the embedding of the actions: what no environment can be faster than."""
    embed = Embedder()
    return pace("embedding alone", width, steps, embed.precompute)


def main(
    widths: Annotated[str, typer.Option(help="Comma-separated.")] = "1,32,256",
    steps: Annotated[int, typer.Option(min=1, help="Per contestant.")] = 60,
    out: Annotated[Path, typer.Option(help="Where environments.json goes.")] = Path(
        "runs/environments"
    ),
) -> None:
    """Times the environments' steps."""
    found = [single(steps * 5)]
    for width in map(int, widths.split(",")):
        found += [contest(width, steps) for contest in (embedding, gymnasiums, ours)]
    table = Table(caption="median step; every action a new text", caption_justify="left")
    for heading in ("contestant", "width", "ms/step", "turns/s"):
        table.add_column(heading, justify="left" if heading == "contestant" else "right")
    for one in found:
        cells = (f"{one.milliseconds:.2f}", f"{one.turns_per_second:.0f}")
        table.add_row(one.name, str(one.width), *cells)
    out.mkdir(parents=True, exist_ok=True)
    write_json(
        out / "environments.json",
        [{**asdict(one), "turns_per_second": one.turns_per_second} for one in found],
    )
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)

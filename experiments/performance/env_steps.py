"""Benchmark of environment steps per second with the `concerns` user.

    python -m experiments.performance.env_steps

It compares a single environment, this suite's vector environment at several widths, and Gymnasium's
`SyncVectorEnv` over as many single environments, on the same scenarios and actions in one process.
Every action is a new text, so that no embedding is cached; the time of the embeddings alone, a
lower bound for every environment, is measured too.
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

ENV = "persuade_env/Persuasion-v1"


@dataclass(frozen=True)
class StepTiming:
    """The step time of one contestant.

    >>> StepTiming("vector environment", width=32, steps=60, milliseconds=4.0).turns_per_second
    8000.0
    """

    name: str
    width: int
    """Number of environments."""
    steps: int
    milliseconds: float
    """Median time of a step."""

    @property
    def turns_per_second(self) -> float:
        """Turns of all environments per second."""
        return 1000 * self.width / self.milliseconds


def new_texts() -> Iterator[str]:
    """Yields recorded persuader turns, each made unique by a number."""
    responses = [
        turn.response
        for record in load_corpus("train")
        for recorded in record.dialogues
        for turn in record.dialogue(recorded).turns
        if isinstance(turn, PersuaderTurn)
    ]
    for number in count():
        yield f"{responses[number % len(responses)]} {number}"


def time_steps(name: str, width: int, steps: int, step: Callable[[list[str]], Any]) -> StepTiming:
    """Times `step` on new texts, without the time to make the texts and after three warm-up steps.

    Args:
        name: of the contestant.
        width: texts per step.
        steps: to be timed.
        step: takes one text per environment.
    """
    texts = new_texts()
    times = []
    for _ in range(steps + 3):
        actions = [next(texts) for _ in range(width)]
        began = time.perf_counter()
        step(actions)
        times.append(time.perf_counter() - began)
    return StepTiming(name, width, steps, 1000 * float(np.median(times[3:])))


def time_single_env(steps: int) -> StepTiming:
    """Times one environment, including its resets."""
    env = gym.make(ENV, user_model="concerns", scenarios="train")
    env.reset(seed=0)

    def step(actions: list[str]) -> None:
        _, _, terminated, truncated, _ = env.step(actions[0])
        if terminated or truncated:
            env.reset()

    return time_steps("single environment", 1, steps, step)


def time_vector_env(width: int, steps: int) -> StepTiming:
    """Times this suite's vector environment."""
    envs = gym.make_vec(
        ENV,
        num_envs=width,
        user_model="concerns",
        scenarios="train",
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    envs.reset(seed=0)
    return time_steps("vector environment", width, steps, lambda actions: envs.step(actions))


def time_sync_vector_env(width: int, steps: int) -> StepTiming:
    """Times Gymnasium's `SyncVectorEnv`, which steps single environments one after the other."""
    envs: Any = SyncVectorEnv(
        [lambda: gym.make(ENV, user_model="concerns", scenarios="train")] * width,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    envs.reset(seed=0)
    return time_steps("SyncVectorEnv", width, steps, lambda actions: envs.step(actions))


def time_embedding(width: int, steps: int) -> StepTiming:
    """Times the embedding of the actions alone, a lower bound for the environments."""
    embed = Embedder()
    return time_steps("embedding alone", width, steps, embed.precompute)


def main(
    widths: Annotated[str, typer.Option(help="Comma-separated.")] = "1,32,256",
    steps: Annotated[int, typer.Option(min=1, help="Per contestant.")] = 60,
    out: Annotated[Path, typer.Option(help="Folder for environments.json.")] = Path(
        "runs/environments"
    ),
) -> None:
    """Times the environments' steps."""
    timings = [time_single_env(steps * 5)]
    for width in map(int, widths.split(",")):
        timings += [
            time_contestant(width, steps)
            for time_contestant in (time_embedding, time_sync_vector_env, time_vector_env)
        ]
    table = Table(caption="median step; every action a new text", caption_justify="left")
    for heading in ("contestant", "width", "ms/step", "turns/s"):
        table.add_column(heading, justify="left" if heading == "contestant" else "right")
    for timing in timings:
        cells = (f"{timing.milliseconds:.2f}", f"{timing.turns_per_second:.0f}")
        table.add_row(timing.name, str(timing.width), *cells)
    out.mkdir(parents=True, exist_ok=True)
    write_json(
        out / "environments.json",
        [{**asdict(timing), "turns_per_second": timing.turns_per_second} for timing in timings],
    )
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)

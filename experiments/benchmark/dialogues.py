"""Runs persuaders against user models on held-out scenarios and sums up what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agents.training.metrics import episode_metrics
from experiments.benchmark.config import BenchmarkSettings
from experiments.benchmark.summary import Row, load_rows, write_rows
from experiments.common.storage import (
    BatchLog,
    damage_named,
    file_stem,
    read_record,
    write_json,
)
from persuade_env.dialogue import Scenario
from persuade_env.episode import Episode
from persuade_env.metrics import MetricsLogger, NoMetrics
from persuade_env.protocols import Persuader, UserModel
from persuade_env.rewards import Reward
from persuade_env.rollout import rollout
from persuade_env.seeding import derive_seed


def run_pair(
    agent: Persuader,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    log: BatchLog,
    settings: BenchmarkSettings,
    on_batch: Callable[[Sequence[Episode], float], None] = lambda _episodes, _seconds: None,
) -> tuple[list[Episode], float]:
    """All dialogues of one agent against one user model, resuming after the last stored batch.

    Every agent meets a user model on the same scenarios with the same episode seeds. A stored
    dialogue in which a model failed is no result: it is played again.

    Args:
        agent: the persuader.
        user_model: plays the persuadee.
        scenarios: what they talk about, `episodes_per_scenario` times each.
        log: where finished batches are stored, and read again.
        settings: of the benchmark.
        on_batch: told each batch, and the seconds that it took; 0 if it was stored already.

    Returns:
        The episodes, and the seconds this call spent on those that were not stored yet.
    """
    plan = [
        (scenario, derive_seed(settings.seed, scenario.id, repeat))
        for repeat in range(settings.episodes_per_scenario)
        for scenario in scenarios
    ]
    done = log.read()
    reward = Reward(dict(settings.reward))
    episodes: list[Episode] = []
    seconds = 0.0
    for start in range(0, len(plan), settings.batch_size):
        batch, key = plan[start : start + settings.batch_size], str(start)
        with damage_named(log.path):
            stored = [Episode.from_json(row) for row in done.get(key, ())]
        by_place = {index: episode for index, episode in enumerate(stored) if episode.valid}
        missing = [index for index in range(len(batch)) if index not in by_place]
        took = 0.0
        if missing:
            began = time.perf_counter()
            played = rollout(
                agent,
                user_model,
                [batch[index][0] for index in missing],
                [batch[index][1] for index in missing],
                reward=reward,
                max_turns=settings.max_turns,
            )
            took = time.perf_counter() - began
            by_place |= dict(zip(missing, played, strict=True))
        finished = [by_place[index] for index in range(len(batch))]
        if missing:
            log.append(key, [episode.to_json() for episode in finished])
        episodes += finished
        seconds += took
        on_batch(finished, took)
    return episodes, seconds


def run_benchmark(
    agents: Mapping[str, Callable[[], Persuader]],
    user_models: Mapping[str, Callable[[], UserModel]],
    scenarios: Sequence[Scenario],
    folder: Path,
    settings: BenchmarkSettings,
    progress: Callable[[str, int], None] = lambda _name, _count: None,
    *,
    metrics: MetricsLogger | None = None,
) -> list[Row]:
    """Every agent against every user model; the table in `folder` as JSON and Parquet.

    The arguments are those of `play_pairs`.
    """
    episodes = play_pairs(
        agents, user_models, scenarios, folder, settings, progress, metrics=metrics
    )
    return write_rows(episodes, folder, settings)


def play_pairs(
    agents: Mapping[str, Callable[[], Persuader]],
    user_models: Mapping[str, Callable[[], UserModel]],
    scenarios: Sequence[Scenario],
    folder: Path,
    settings: BenchmarkSettings,
    progress: Callable[[str, int], None] = lambda _name, _count: None,
    *,
    metrics: MetricsLogger | None = None,
) -> dict[tuple[str, str], list[Episode]]:
    """Plays what is missing of every agent against every user model.

    Dialogues go to `folder/episodes/AGENT--USER.jsonl`, batch by batch, so a killed
    benchmark goes on where it stopped. Seconds are kept in `timings.json`, apart from the
    results, which are the same on every run.

    Args:
        agents: by name, loaded when first needed.
        user_models: by name, loaded when first needed.
        scenarios: what they talk about.
        folder: where dialogues and results go.
        settings: of the benchmark.
        progress: told the pair at work and how many dialogues were added.
        metrics: takes running means after each batch.

    Returns:
        All dialogues, by the names of agent and user model.
    """
    metrics = metrics or NoMetrics()
    timings = read_record(folder / "timings.json")
    episodes: dict[tuple[str, str], list[Episode]] = {}
    # The user model outside: at most one of them and all agents are in use at a time.
    for user_name, load_user in user_models.items():
        user_model = None
        for agent_name, load_persuader in agents.items():
            pair = f"{agent_name}--{user_name}"
            user_model = user_model or load_user()
            played, seconds = run_pair(
                load_persuader(),
                user_model,
                scenarios,
                BatchLog(episodes_file(folder, agent_name, user_name)),
                settings,
                _Told(pair, progress, metrics),
            )
            episodes[agent_name, user_name] = played
            if seconds:
                timings[pair] = round(timings.get(pair, 0.0) + seconds, 3)
                write_json(folder / "timings.json", timings)
    return episodes


class _Told:
    """Tells a progress bar and the metrics of each batch of a pair."""

    def __init__(
        self, pair: str, progress: Callable[[str, int], None], metrics: MetricsLogger
    ) -> None:
        self.pair, self.progress, self.metrics = pair, progress, metrics
        self.episodes: list[Episode] = []

    def __call__(self, batch: Sequence[Episode], seconds: float) -> None:
        self.episodes += batch
        self.progress(self.pair, len(batch))
        if seconds:
            numbers = episode_metrics(self.episodes) | {
                "dialogues_per_second": len(batch) / seconds
            }
            self.metrics.log(f"benchmark/{self.pair}", len(self.episodes), numbers)


def load_seconds(folder: Path) -> dict[str, float]:
    """Seconds per dialogue by `AGENT--USER_MODEL`, as measured when they were played."""
    n = {f"{row.agent}--{row.user_model}": row.n for row in load_rows(folder)}
    timings = read_record(folder / "timings.json")
    with damage_named(folder / "timings.json"):
        return {pair: float(time) / n[pair] for pair, time in timings.items() if n.get(pair)}


def episodes_file(folder: Path, agent: str, user_model: str) -> Path:
    """Where the dialogues of one agent against one user model are stored."""
    return folder / "episodes" / f"{file_stem(f'{agent}--{user_model}')}.jsonl"


def load_episodes(folder: Path, agent: str, user_model: str) -> list[Episode]:
    """The stored dialogues of one agent against one user model."""
    log = BatchLog(episodes_file(folder, agent, user_model))
    batches = log.read()
    with damage_named(log.path):
        return [Episode.from_json(row) for rows in batches.values() for row in rows]

"""Runs persuaders against user models on held-out scenarios and sums up what happened."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.training.metrics import episode_metrics
from experiments.benchmark.config import BenchmarkSettings
from experiments.common.bootstrap import Estimate, clustered_mean, clustered_ratio
from experiments.common.storage import BatchLog, read_json, write_json
from persuade_env.dialogue import Outcome, Scenario
from persuade_env.episode import Episode
from persuade_env.judges.attitude import AttitudeJudge, scores
from persuade_env.metrics import MetricsLogger, NoMetrics
from persuade_env.protocols import Judge, Persuader, UserModel
from persuade_env.registry import load_judge
from persuade_env.rollout import rollout
from persuade_env.safety.misconduct import detect_misconduct_by_turn
from persuade_env.seeding import derive_seed, generator
from persuade_env.spec import hide_password

if TYPE_CHECKING:
    import pandas as pd

METRICS = {
    "success": "share of dialogues that ended with `accept`",
    "attitude_gain": "attitude after the last turn minus before the first, Likert points",
    "win_rate": "share of comparisons with the baseline won, same scenario and seed, ties half",
    "unjudged": "share of these comparisons in which the judge named no winner; left out of them",
    "refused": "share of dialogues the persuadee walked away from",
    "turns": "persuader turns per dialogue",
    "words": "words per persuader turn",
    "distinct_2": "distinct word pairs over all word pairs in a scenario's persuader turns",
    "malformed": "share of persuader turns that did not follow the format, also after a repair",
    "misconduct": "share of persuader turns with misconduct of any kind, as the detector sees it",
    "invalid": "share of dialogues in which the user model or the persuader failed",
    "tokens": "new tokens per dialogue, persuader and user model",
}
"""Columns of the benchmark's table and what they mean."""


@dataclass(frozen=True)
class Row:
    """What one agent did against one user model."""

    agent: str
    user_model: str
    n: int
    """Valid dialogues."""
    n_scenarios: int
    metrics: Mapping[str, Estimate]
    judge: str = AttitudeJudge.name
    """What the win rate was judged by."""
    baseline: str = ""
    """What the win rate is against; empty where the row has none."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; NaN becomes null."""
        return {
            "agent": self.agent,
            "user_model": self.user_model,
            "n": self.n,
            "n_scenarios": self.n_scenarios,
            "judge": self.judge,
            "baseline": self.baseline,
            "metrics": {
                name: {
                    key: None if math.isnan(x) else round(x, 6) for key, x in asdict(one).items()
                }
                for name, one in self.metrics.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Row:
        """The row that `to_json` made this of."""
        metrics = {
            name: Estimate(**{k: math.nan if v is None else v for k, v in one.items()})
            for name, one in data["metrics"].items()
        }
        return cls(**{**data, "metrics": metrics})


def run_pair(
    agent: Persuader,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    log: BatchLog,
    settings: BenchmarkSettings,
    on_batch: Callable[[Sequence[Episode], float], None] = lambda _episodes, _seconds: None,
) -> tuple[list[Episode], float]:
    """All dialogues of one agent against one user model, resuming after the last stored batch.

    Every agent meets a user model on the same scenarios with the same episode seeds.

    Args:
        agent: the persuader.
        user_model: plays the persuadee.
        scenarios: what they talk about, `episodes_per_scenario` times each.
        log: where finished batches are stored, and read again.
        settings: of the benchmark.
        on_batch: told each batch, and the seconds that it took; 0 if it was stored already.

    Returns:
        The episodes, and the seconds this call spent on the batches that were not stored yet.
    """
    plan = [
        (scenario, derive_seed(settings.seed, scenario.id, repeat))
        for repeat in range(settings.episodes_per_scenario)
        for scenario in scenarios
    ]
    done = log.read()
    episodes: list[Episode] = []
    seconds = 0.0
    for start in range(0, len(plan), settings.batch_size):
        batch, key = plan[start : start + settings.batch_size], str(start)
        took = 0.0
        if key not in done:
            began = time.perf_counter()
            finished = rollout(
                agent,
                user_model,
                [scenario for scenario, _ in batch],
                [seed for _, seed in batch],
                max_turns=settings.max_turns,
            )
            took = time.perf_counter() - began
            log.append(key, [episode.to_json() for episode in finished])
        else:
            finished = [Episode.from_json(row) for row in done[key]]
        episodes += finished
        seconds += took
        on_batch(finished, took)
    return episodes, seconds


def summarize(
    agent: str,
    user_model: str,
    episodes: Sequence[Episode],
    baseline: Sequence[Episode] | None,
    *,
    judge: Judge | None = None,
    judge_name: str = AttitudeJudge.name,
    baseline_name: str = "",
    seed: int = 0,
) -> Row:
    """One row of the table. Invalid episodes are counted, never averaged in."""
    valid = [episode for episode in episodes if episode.valid]

    def mean(values: Iterable[float], of: Sequence[Episode] = valid, name: str = "") -> Estimate:
        rng = generator(derive_seed(seed, agent, user_model, name))
        return clustered_mean(list(values), [episode.scenario.id for episode in of], rng)

    def per_turn(values: Iterable[float], name: str) -> Estimate:
        rng = generator(derive_seed(seed, agent, user_model, name))
        return clustered_ratio(
            list(values),
            [float(episode.turn) for episode in valid],
            [episode.scenario.id for episode in valid],
            rng,
        )

    win_rate, unjudged = _win_rate(
        agent, user_model, valid, baseline, judge or AttitudeJudge(), seed
    )
    metrics = {
        "success": mean((e.outcome is Outcome.ACCEPTED for e in valid), name="success"),
        "attitude_gain": mean((e.attitude_gain for e in valid), name="attitude_gain"),
        "win_rate": win_rate,
        "unjudged": unjudged,
        "refused": mean((e.outcome is Outcome.REFUSED for e in valid), name="refused"),
        "turns": mean((float(e.turn) for e in valid), name="turns"),
        "words": per_turn((float(sum(map(len, _words(e)))) for e in valid), "words"),
        "distinct_2": _distinct_2(valid, generator(derive_seed(seed, agent, user_model, "d2"))),
        "malformed": per_turn((float(e.malformed_turns) for e in valid), "malformed"),
        "misconduct": per_turn(
            (float(sum(map(bool, detect_misconduct_by_turn(e.dialogue)))) for e in valid),
            "misconduct",
        ),
        "invalid": mean((not e.valid for e in episodes), episodes, "invalid"),
        "tokens": mean(
            (
                float(e.user_usage.completion_tokens + e.persuader_usage.completion_tokens)
                for e in valid
            ),
            name="tokens",
        ),
    }
    return Row(
        agent,
        user_model,
        len(valid),
        len({e.scenario.id for e in valid}),
        metrics,
        judge_name,
        baseline_name,
    )


def _words(episode: Episode) -> list[list[str]]:
    return [turn.response.lower().split() for turn in episode.dialogue.persuader_turns]


def _distinct_2(episodes: Sequence[Episode], rng: Any) -> Estimate:
    """Distinct-2 (Li et al., 2016) within each scenario, so that scenarios can be resampled."""
    pairs: dict[str, list[tuple[str, str]]] = {}
    for episode in episodes:
        found = pairs.setdefault(episode.scenario.id, [])
        for words in _words(episode):
            found += pairwise(words)
    spoken = {scenario: found for scenario, found in pairs.items() if found}
    return clustered_ratio(
        [float(len(set(found))) for found in spoken.values()],
        [float(len(found)) for found in spoken.values()],
        list(spoken),
        rng,
    )


def _win_rate(
    agent: str,
    user_model: str,
    valid: Sequence[Episode],
    baseline: Sequence[Episode] | None,
    judge: Judge,
    seed: int,
) -> tuple[Estimate, Estimate]:
    """The win rate, and the share of pairs that it leaves out because the judge failed."""
    others = {(e.scenario.id, e.seed): e for e in baseline or () if e.valid}
    pairs = [(e, others[e.scenario.id, e.seed]) for e in valid if (e.scenario.id, e.seed) in others]
    if not pairs:
        nothing = Estimate(math.nan, math.nan, math.nan)
        return nothing, nothing
    clusters = [a.scenario.id for a, _ in pairs]
    verdicts = scores(judge, [(a.dialogue, b.dialogue) for a, b in pairs])
    told = [
        ((score + 1) / 2, cluster)
        for score, cluster in zip(verdicts, clusters, strict=True)
        if not math.isnan(score)  # the judge failed
    ]
    rng = generator(derive_seed(seed, agent, user_model, "win_rate"))
    won = clustered_mean([win for win, _ in told], [cluster for _, cluster in told], rng)
    return won, clustered_mean([math.isnan(score) for score in verdicts], clusters, rng)


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
    """
    metrics = metrics or NoMetrics()
    timings = read_json(folder / "timings.json") or {}
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
                BatchLog(folder / "episodes" / f"{pair}.jsonl"),
                settings,
                _Told(pair, progress, metrics),
            )
            episodes[agent_name, user_name] = played
            if seconds:
                timings[pair] = round(timings.get(pair, 0.0) + seconds, 3)
                write_json(folder / "timings.json", timings)
    return write_rows(episodes, folder, settings)


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


def write_rows(
    episodes: Mapping[tuple[str, str], Sequence[Episode]],
    folder: Path,
    settings: BenchmarkSettings,
) -> list[Row]:
    """The table of played dialogues, by agent and user model, written to `folder`."""
    judge = load_judge(settings.judge)
    rows = [
        summarize(
            agent,
            user,
            played,
            None if agent == settings.baseline else episodes.get((settings.baseline, user)),
            judge=judge,
            judge_name=hide_password(settings.judge),
            baseline_name=""
            if agent == settings.baseline or (settings.baseline, user) not in episodes
            else settings.baseline,
            seed=settings.seed,
        )
        for (agent, user), played in episodes.items()
    ]
    write_json(folder / "results.json", [row.to_json() for row in rows])
    frame(rows).to_parquet(folder / "results.parquet")
    return rows


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The table as a data frame: per metric its value and the interval's bounds."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "agent": row.agent,
                "user_model": row.user_model,
                "n": row.n,
                "n_scenarios": row.n_scenarios,
                "judge": row.judge,
                "baseline": row.baseline,
            }
            | {
                column: value
                for name, one in row.metrics.items()
                for column, value in (
                    (name, one.value),
                    (f"{name}_low", one.low),
                    (f"{name}_high", one.high),
                )
            }
            for row in rows
        ]
    )


def load_rows(folder: Path) -> list[Row]:
    """The rows of a finished benchmark folder; empty where there is none."""
    return [Row.from_json(one) for one in read_json(folder / "results.json") or []]


def load_seconds(folder: Path) -> dict[str, float]:
    """Seconds per dialogue by `AGENT--USER_MODEL`, as measured when they were played."""
    n = {f"{row.agent}--{row.user_model}": row.n for row in load_rows(folder)}
    timings = read_json(folder / "timings.json") or {}
    return {pair: time / n[pair] for pair, time in timings.items() if n.get(pair)}


def load_episodes(folder: Path, agent: str, user_model: str) -> list[Episode]:
    """The stored dialogues of one agent against one user model."""
    batches = BatchLog(folder / "episodes" / f"{agent}--{user_model}.jsonl").read()
    return [Episode.from_json(row) for rows in batches.values() for row in rows]

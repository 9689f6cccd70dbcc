"""What the dialogues of one agent against one user model come to: one row of the table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from experiments.benchmark.config import BenchmarkSettings
from experiments.common.bootstrap import Estimate, clustered_mean, clustered_ratio
from experiments.common.storage import damage_named, read_json, write_json
from experiments.corpus.relevance import Answer, answer_at, found_among
from experiments.corpus.turn_errors import is_repeated
from persuade_env.dialogue import Outcome
from persuade_env.episode import Episode
from persuade_env.errors import RunError
from persuade_env.judges.attitude import AttitudeJudge, scores
from persuade_env.protocols import Judge
from persuade_env.registry import load_judge
from persuade_env.safety.misconduct import detect_misconduct_by_turn
from persuade_env.seeding import derive_seed, generator
from persuade_env.spec import hide_password

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

METRICS = {
    "success": "share of dialogues that ended with `accept`",
    "attitude_gain": "attitude after the last turn minus before the first, Likert points",
    "return": "rewards of a dialogue summed, in the weights that PPO and GRPO are trained on",
    "win_rate": "share of comparisons with the baseline won, same scenario and seed, ties half",
    "unjudged": "share of these comparisons in which the judge named no winner; left out of them",
    "refused": "share of dialogues the persuadee ended by refusing",
    "turns": "persuader turns per dialogue",
    "words": "words per persuader turn",
    "distinct_2": "distinct word pairs over all word pairs in a scenario's persuader turns",
    "found": "share of persuader turns after the first that embeddings match to the words they "
    "answer, among those of 19 turns to other scenarios' users; chance is 0.05",
    "repeats": "share of persuader turns after the first that nearly copy an earlier turn of "
    "either side",
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
    n_invalid: int = 0
    """Dialogues in which a model failed."""
    error: str = ""
    """What the first of them failed by."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; NaN becomes null."""
        return {
            "agent": self.agent,
            "user_model": self.user_model,
            "n": self.n,
            "n_scenarios": self.n_scenarios,
            "judge": self.judge,
            "baseline": self.baseline,
            "n_invalid": self.n_invalid,
            "error": self.error,
            "metrics": {
                name: {
                    key: None if math.isnan(x) else round(x, 6) for key, x in asdict(one).items()
                }
                for name, one in self.metrics.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Row:
        """The row that `to_json` made this of.

        Raises:
            ValueError: if a value is missing or of another type.
        """
        metrics = {
            name: {k: math.nan if v is None else v for k, v in one.items()}
            for name, one in data["metrics"].items()
        }
        return TypeAdapter(cls).validate_python({**data, "metrics": metrics})


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
        "return": mean((e.episode_return for e in valid), name="return"),
        "win_rate": win_rate,
        "unjudged": unjudged,
        "refused": mean((e.outcome is Outcome.REFUSED for e in valid), name="refused"),
        "turns": mean((float(e.turn) for e in valid), name="turns"),
        "words": per_turn((float(sum(map(len, _words(e)))) for e in valid), "words"),
        "distinct_2": _distinct_2(valid, generator(derive_seed(seed, agent, user_model, "d2"))),
        "found": found_among(
            _answers(valid), "last words", seed=derive_seed(seed, agent, user_model, "found")
        ),
        "repeats": _repeats(valid, generator(derive_seed(seed, agent, user_model, "repeats"))),
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
    invalid = [episode for episode in episodes if not episode.valid]
    return Row(
        agent,
        user_model,
        len(valid),
        len({e.scenario.id for e in valid}),
        metrics,
        judge_name,
        baseline_name,
        n_invalid=len(invalid),
        error=(invalid[0].error or invalid[0].error_kind) if invalid else "",
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


def _answers(episodes: Sequence[Episode]) -> list[Answer]:
    """The persuader's turns that follow a turn of the user model."""
    return [
        answer_at(episode.scenario, episode.dialogue.turns, index)
        for episode in episodes
        for index in _answering(episode)
    ]


def _repeats(episodes: Sequence[Episode], rng: np.random.Generator) -> Estimate:
    repeated = []
    for episode in episodes:
        texts = [turn.response for turn in episode.dialogue.turns]
        copies = (is_repeated(texts[index], texts[:index]) for index in _answering(episode))
        repeated.append(float(sum(copies)))
    return clustered_ratio(
        repeated,
        [float(len(_answering(episode))) for episode in episodes],
        [episode.scenario.id for episode in episodes],
        rng,
    )


def _answering(episode: Episode) -> list[int]:
    """Places of the persuader's turns that follow a turn of the user model."""
    turns = episode.dialogue.turns
    return [index for index, turn in enumerate(turns) if index and turn.role == "persuader"]


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


def require_dialogues(rows: Iterable[Row]) -> None:
    """Nothing, if every agent has a valid dialogue with every user model.

    Raises:
        RunError: if all of a pair's dialogues failed: that is no result.
    """
    failed = [row for row in rows if row.n == 0 and row.n_invalid]
    if failed:
        lines = [f"  {row.agent} with {row.user_model}: {row.error}" for row in failed]
        raise RunError(
            "\n".join(["no valid dialogue of:", *lines])
            + "\nMend the cause and call the same command again: it plays what failed."
        )


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
    path = folder / "results.json"
    stored = read_json(path) or []
    with damage_named(path):
        return [Row.from_json(one) for one in stored]

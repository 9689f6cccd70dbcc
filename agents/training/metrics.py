"""Metrics of the dialogues that an on-policy training step has sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from persuade_env.dialogue import Outcome
from persuade_env.episode import Episode
from persuade_env.metrics import MetricsLogger


def episode_metrics(episodes: Sequence[Episode]) -> dict[str, float]:
    """Means over the valid episodes, and counts of all and of invalid ones.

    Invalid episodes enter no mean. Without a valid one all means are 0.

    >>> episode_metrics([])["dialogues"]
    0.0

    Returns:
        `dialogues` and `invalid` (counts), `return`, `attitude_gain` (Likert points), `success`
        (share accepted), `malformed` (share of turns not in the format), and `words` per persuader
        turn.
    """
    valid = [episode for episode in episodes if episode.valid]
    turns = [turn for episode in valid for turn in episode.dialogue.persuader_turns]

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values)) if values else 0.0

    return {
        "dialogues": float(len(episodes)),
        "invalid": float(len(episodes) - len(valid)),
        "return": mean([episode.episode_return for episode in valid]),
        "attitude_gain": mean([episode.attitude_gain for episode in valid]),
        "success": mean([float(episode.outcome is Outcome.ACCEPTED) for episode in valid]),
        "malformed": mean([episode.malformed_turns / max(1, episode.turn) for episode in valid]),
        "words": mean([float(len(turn.response.split())) for turn in turns]),
    }


def metrics_callback(stage: str, metrics: MetricsLogger) -> Any:
    """A transformers callback that hands on what a trainer logs, step by step."""
    from transformers import TrainerCallback

    class MetricsCallback(TrainerCallback):
        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any
        ) -> None:
            numbers = {
                name: float(value)
                for name, value in (logs or {}).items()
                if isinstance(value, int | float)
            }
            if numbers:
                metrics.log(stage, int(state.global_step), numbers)

    return MetricsCallback()

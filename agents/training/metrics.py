"""What on-policy training tells of the dialogues it has just played."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from persuade_env.dialogue import Outcome
from persuade_env.episode import Episode
from persuade_env.metrics import MetricsLogger


def describe(episodes: Sequence[Episode]) -> dict[str, float]:
    """Return, attitude gain (Likert points), success and form; invalid episodes are counted alone.

    `words` are per persuader turn; `malformed` is the share of turns out of the format.
    """
    valid = [one for one in episodes if one.valid]
    said = [turn for one in valid for turn in one.dialogue.persuader_turns]

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values)) if values else 0.0

    return {
        "dialogues": float(len(episodes)),
        "invalid": float(len(episodes) - len(valid)),
        "return": mean([one.episode_return for one in valid]),
        "attitude_gain": mean([one.attitude_gain for one in valid]),
        "success": mean([float(one.outcome is Outcome.ACCEPTED) for one in valid]),
        "malformed": mean([one.malformed_turns / max(1, one.turn) for one in valid]),
        "words": mean([float(len(turn.response.split())) for turn in said]),
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

"""The settings of GRPO, apart from `agents.training.grpo`, so that reading them loads no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GRPOSettings:
    """How GRPO trains; the defaults suit the embedded 135M model on 2 cores."""

    steps: int = 5
    """Optimizer steps, each on `groups` groups of new dialogues."""
    groups: int = 2
    group_size: int = 4
    max_turns: int = 2
    max_reply_tokens: int = 112
    temperature: float = 0.8
    learning_rate: float = 5e-4
    beta: float = 0.04
    """Weight of the KL to the SFT persuader."""
    reward: tuple[tuple[str, float], ...] = (
        ("attitude_gain", 1.0),
        ("outcome", 1.0),
        ("malformed", 0.1),
    )
    """Terms and weights (`persuade_env.rewards`)."""
    rank: int = 16
    seed: int = 0

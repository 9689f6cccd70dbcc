"""The settings of PPO, apart from `agents.training.ppo`, so that reading them loads no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PPOSettings:
    """How PPO trains; the defaults suit the embedded 135M model on 2 cores."""

    iterations: int = 3
    episodes: int = 12
    """Dialogues per iteration."""
    max_turns: int = 3
    max_reply_tokens: int = 112
    temperature: float = 0.8
    """The policy is the model at this temperature, in sampling and in the loss."""
    epochs: int = 2
    """Passes over an iteration's turns."""
    batch_turns: int = 8
    """Turns per optimizer step, or as many more as complete a dialogue, whose turns stay together;
    one dialogue at a time in memory, their gradients add up."""
    learning_rate: float = 5e-4
    value_learning_rate: float = 1e-3
    gamma: float = 1.0
    gae_lambda: float = 0.95
    clip: float = 0.2
    value_clip: float = 0.2
    value_weight: float = 0.1
    entropy_weight: float = 0.0
    kl_weight: float = 0.05
    """Where the adaptive coefficient of the KL penalty begins."""
    kl_target: float = 0.05
    """Nats per token to the reference that the coefficient steers to."""
    kl_in_reward: bool = False
    """Take the penalty off each token's reward, rather than put it into the loss."""
    stop_kl: float = 0.1
    """Nats per token to the sampling policy at which an iteration's updates stop."""
    max_gradient_norm: float = 1.0
    reward: tuple[tuple[str, float], ...] = (
        ("attitude_gain", 1.0),
        ("outcome", 1.0),
        ("malformed", 0.1),
    )
    """Terms and weights (`persuade_env.rewards`)."""
    rank: int = 16
    seed: int = 0

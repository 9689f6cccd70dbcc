"""Hyperparameters of the training algorithms, as frozen dataclasses.

The module imports no torch, so that a command can read a run's settings quickly. The field names,
their order and their defaults are stored with every run.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from persuade_env.episode import DEFAULT_MAX_TURNS
from persuade_env.llm.training.config import LoraSettings
from persuade_env.rewards import DEFAULT_WEIGHTS

DEFAULT_REWARD = (*DEFAULT_WEIGHTS.items(), ("malformed", 0.1))
"""Terms and weights (`persuade_env.rewards`) that PPO and GRPO optimize by default."""


@dataclass(frozen=True)
class SFTSettings:
    """Hyperparameters of supervised fine-tuning.

    >>> SFTSettings(epochs=2).lora.rank
    16
    """

    epochs: int = 1
    lora: LoraSettings = field(default_factory=LoraSettings)


@dataclass(frozen=True)
class RFTSettings:
    """Hyperparameters of rejection sampling: fine-tuning on the best of n turns alone.

    >>> RFTSettings().lora.learning_rate
    0.0003
    """

    min_lead: float = 0.2
    """Attitude of a context's best candidate above the mean of its candidates, Likert points, from
    which it is trained on."""
    keep_malformed: bool = False
    """Also train on turns that don't follow the format or were cut; for runs of a few steps, whose
    persuader hasn't learned it yet."""
    epochs: int = 1
    lora: LoraSettings = field(
        default_factory=lambda: LoraSettings(learning_rate=3e-4, batch_size=4)
    )


@dataclass(frozen=True)
class DPOSettings:
    """Hyperparameters of direct preference optimization (Rafailov et al., 2023).

    >>> DPOSettings(beta=0.2).beta
    0.2
    """

    beta: float = 0.1
    """Weight of the KL divergence from the reference policy."""
    learning_rate: float = 1.5e-4
    rank: int = 16
    """Rank of the LoRA adapter."""
    batch_size: int = 16
    """Pairs per optimizer step; they go through the model one at a time to spare memory."""
    epochs: int = 2
    max_steps: int = -1
    """Optimizer steps; -1 for `epochs` passes over the pairs."""
    max_tokens: int = 1536
    warmup_share: float = 0.1
    """Share of the steps in which the learning rate rises; it is above 0 at the first."""
    held_out_share: float = 0.1
    """Share of the pairs, by whole scenarios, that are not trained on: how often the policy's
    preference agrees with theirs is logged."""
    seed: int = 0


@dataclass(frozen=True)
class PPOSettings:
    """Hyperparameters of PPO; the defaults suit the embedded 135M model on 2 cores.

    >>> PPOSettings(iterations=1).gae_lambda
    0.95
    """

    iterations: int = 3
    episodes: int = 6
    """Dialogues per iteration."""
    max_turns: int = DEFAULT_MAX_TURNS
    """Persuader turns per dialogue."""
    max_reply_tokens: int = 112
    temperature: float = 0.8
    """Of the policy, both in sampling and in the loss."""
    epochs: int = 2
    """Passes over an iteration's turns."""
    batch_turns: int = 8
    """Turns per optimizer step at least; the turns of one dialogue stay together. Gradients are
    accumulated over them, one dialogue at a time in memory."""
    learning_rate: float = 5e-4
    value_learning_rate: float = 1e-3
    gamma: float = 1.0
    gae_lambda: float = 0.95
    clip: float = 0.2
    value_clip: float = 0.2
    value_weight: float = 0.1
    entropy_weight: float = 0.0
    kl_weight: float = 0.05
    """Initial value of the adaptive coefficient of the KL penalty."""
    kl_target: float = 0.05
    """KL divergence from the reference, in nats per token, that the coefficient steers to."""
    kl_in_reward: bool = False
    """Subtract the penalty from each token's reward instead of adding it to the loss."""
    stop_kl: float = 0.1
    """KL divergence from the sampling policy, in nats per token, at which an iteration's updates
    stop early."""
    max_gradient_norm: float = 1.0
    reward: tuple[tuple[str, float], ...] = DEFAULT_REWARD
    rank: int = 16
    """Rank of the LoRA adapter."""
    seed: int = 0


@dataclass(frozen=True)
class GRPOSettings:
    """Hyperparameters of GRPO; the defaults suit the embedded 135M model on 2 cores.

    >>> GRPOSettings(groups=1).group_size
    4
    """

    steps: int = 5
    """Optimizer steps, each on `groups` groups of new dialogues."""
    groups: int = 2
    group_size: int = 4
    """Dialogues per group; they share a scenario and an episode seed."""
    max_turns: int = DEFAULT_MAX_TURNS
    """Persuader turns per dialogue."""
    max_reply_tokens: int = 112
    temperature: float = 0.8
    learning_rate: float = 5e-4
    beta: float = 0.04
    """Weight of the KL divergence from the SFT persuader."""
    reward: tuple[tuple[str, float], ...] = DEFAULT_REWARD
    rank: int = 16
    """Rank of the LoRA adapter."""
    seed: int = 0

"""Hyperparameters of LoRA fine-tuning; the module imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoraSettings:
    """Hyperparameters of a LoRA adapter; the defaults suit the embedded 135M model on 2 cores.

    >>> LoraSettings(rank=8).learning_rate
    0.001
    """

    learning_rate: float = 1e-3
    rank: int = 16
    batch_size: int = 2
    """Examples per optimizer step."""
    micro_batch_size: int = 1
    """Examples in memory at a time; their gradients add up to a batch."""
    max_steps: int = -1
    """Optimizer steps; -1 for one pass over the examples."""
    max_tokens: int = 1536
    """Longer examples are cut at the end."""
    warmup_share: float = 0.1
    """Share of the steps in which the learning rate rises, from above 0."""
    seed: int = 0

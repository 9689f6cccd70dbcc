"""The PPO loss and generalized advantage estimation, as functions of tensors.

Schulman et al., "Proximal Policy Optimization Algorithms", 2017, and "High-Dimensional Continuous
Control Using Generalized Advantage Estimation", 2016.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from agents.training.config import PPOSettings
from agents.training.policy import TokenBatch


def gae(
    rewards: Sequence[float], values: Sequence[float], gamma: float, lam: float
) -> tuple[np.ndarray, np.ndarray]:
    """Generalized advantage estimation over one trajectory, after whose end the value is 0.

    A_t = sum_k (gamma lam)^k (r_{t+k} + gamma V_{t+k+1} - V_{t+k}); returns are A + V
    (Schulman et al., 2016).

    >>> gae([0.0, 1.0], [0.0, 0.0], gamma=1.0, lam=1.0)[0].tolist()
    [1.0, 1.0]

    Args:
        rewards: n.
        values: n.
        gamma: the discount.
        lam: lambda.

    Returns:
        Advantages and returns, each (n,).
    """
    advantages = np.zeros(len(rewards))
    next_value, advantage = 0.0, 0.0
    for step_index in reversed(range(len(rewards))):
        delta = rewards[step_index] + gamma * next_value - values[step_index]
        advantage = delta + gamma * lam * advantage
        advantages[step_index] = advantage
        next_value = values[step_index]
    return advantages, advantages + np.asarray(values)


def ppo_loss(
    logprobs: torch.Tensor,
    values: torch.Tensor,
    entropy: torch.Tensor,
    sampled: TokenBatch,
    kl_weight: float,
    settings: PPOSettings,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The PPO loss summed over sampled tokens, and its parts (sums as well).

    Clipped surrogate, clipped value error, entropy bonus, and the KL to the reference by the
    unbiased, non-negative estimator exp(d) - d - 1 with d = log ref - log policy (Schulman,
    "Approximating KL Divergence", 2020). The estimator needs tokens from the current policy, but
    these were sampled before its last updates, so each is weighted by its importance ratio.
    (Otherwise a single token that the policy now avoids could dominate the sum.)

    Args:
        logprobs: under the current policy, (n_tokens,).
        values: current predictions, (n_tokens,).
        entropy: of the current policy, (n_tokens,).
        sampled: the same tokens at sampling time.
        kl_weight: the current coefficient of the KL penalty.
        settings: the other coefficients.
    """
    ratio = torch.exp(logprobs - sampled.logprobs)
    clipped = ratio.clamp(1 - settings.clip, 1 + settings.clip)
    policy = -torch.min(ratio * sampled.advantages, clipped * sampled.advantages).sum()
    old_values, limit = sampled.values, settings.value_clip
    clipped_values = old_values + (values - old_values).clamp(-limit, limit)
    error = torch.max((values - sampled.returns) ** 2, (clipped_values - sampled.returns) ** 2)
    value = 0.5 * error.sum()
    log_ratio = sampled.reference - logprobs
    kl = (ratio * (torch.exp(log_ratio) - log_ratio - 1)).sum()
    in_loss = 0.0 if settings.kl_in_reward else kl_weight
    loss = (
        policy
        + settings.value_weight * value
        - settings.entropy_weight * entropy.sum()
        + in_loss * kl
    )
    step_kl = sampled.logprobs - logprobs
    parts = {
        "policy_loss": policy,
        "value_loss": value,
        "entropy": entropy.sum(),
        "kl": kl,
        "clip_fraction": ((ratio - 1).abs() > settings.clip).float().sum(),
        "step_kl": (torch.exp(-step_kl) + step_kl - 1).sum(),
    }
    return loss, {name: part.detach() for name, part in parts.items()}

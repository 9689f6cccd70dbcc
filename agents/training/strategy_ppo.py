"""Single-file PPO, in the style of CleanRL, on `persuade_env/StrategyPersuasion-v1`.

The policy applies one small network to the three features of each strategy, with shared weights,
so it generalizes across action indices and to scenarios that it was not trained on. (The default
networks of RL libraries have separate weights for each index of the observation and of the action.)

Schulman et al., "Proximal Policy Optimization Algorithms", 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import nn
from torch.distributions import Categorical

import persuade_env  # noqa: F401 - registers the environment
from persuade_env.envs.strategy import DIMENSIONS


@dataclass(frozen=True)
class StrategyPPOSettings:
    """The hyperparameters; most are CleanRL's.

    >>> StrategyPPOSettings(num_envs=4).clip_coef
    0.2
    """

    total_steps: int = 50_000
    num_envs: int = 8
    num_steps: int = 64
    """Steps of each environment per iteration."""
    learning_rate: float = 2.5e-3
    gamma: float = 0.99
    gae_lambda: float = 0.95
    num_minibatches: int = 4
    update_epochs: int = 4
    clip_coef: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    hidden: int = 64
    seed: int = 0


class StrategyPolicy(nn.Module):
    """An actor that scores each strategy by its own features, and a critic of the whole state.

    >>> observation = torch.zeros(1, 2 * DIMENSIONS + 3 * 4 + 2)
    >>> distribution, value = StrategyPolicy(hidden=8)(observation, torch.ones(1, 4).bool())
    >>> distribution.probs.shape, value.shape
    (torch.Size([1, 4]), torch.Size([1]))

    Args:
        hidden: width of the two hidden layers.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.actor = _network(8, hidden, 0.01)
        self.critic = _network(8, hidden, 1.0)

    def forward(
        self, observations: torch.Tensor, masks: torch.Tensor
    ) -> tuple[Categorical, torch.Tensor]:
        """The distribution over allowed actions, and values (n,).

        Args:
            observations: (n, size), in the layout of `StrategyPersuasionEnv.observe`.
            masks: (n, n_actions), true for allowed.
        """
        count = masks.shape[1]
        # Three features per action; the estimated attitude and the turn are shared by all.
        features = observations[:, 2 * DIMENSIONS : -2].view(-1, count, 3)
        shared = observations[:, -2:]
        allowed = masks[:, :, None]
        mean = (features * allowed).sum(1) / allowed.sum(1).clamp(min=1)
        best = features.masked_fill(~allowed, -1.0).amax(1)
        inputs = torch.cat(
            [features, features - mean[:, None], shared[:, None].expand(-1, count, -1)], dim=-1
        )
        logits = self.actor(inputs)[..., 0].masked_fill(~masks, float("-inf"))
        values = self.critic(torch.cat([mean, best, shared], dim=-1))[:, 0]
        return Categorical(logits=logits), values


def _network(inputs: int, hidden: int, last_gain: float) -> nn.Sequential:
    layers = [nn.Linear(inputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)]
    for layer, gain in zip(layers, (2**0.5, 2**0.5, last_gain), strict=True):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


def train_strategy_ppo(
    settings: StrategyPPOSettings,
    *,
    user_model: Any = "concerns",
    scenarios: Any = "train",
    report: Callable[[int], None] = lambda _: None,
) -> StrategyPolicy:
    """Trains a policy in `num_envs` parallel environments.

    Args:
        settings: hyperparameters.
        user_model: name of a user model, or the model itself.
        scenarios: name of a split, or the scenarios themselves.
        report: called with the number of steps of each iteration.
    """
    envs = gym.make_vec(
        "persuade_env/StrategyPersuasion-v1",
        num_envs=settings.num_envs,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        user_model=user_model,
        scenarios=scenarios,
    )
    torch.manual_seed(settings.seed)
    policy = StrategyPolicy(settings.hidden)
    optimizer = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate, eps=1e-5)
    batch_size = settings.num_envs * settings.num_steps
    iterations = max(1, settings.total_steps // batch_size)
    next_observation, infos = envs.reset(seed=settings.seed)
    for iteration in range(iterations):
        optimizer.param_groups[0]["lr"] = settings.learning_rate * (1 - iteration / iterations)
        observations, masks, actions, logprobs, rewards, dones, values = [], [], [], [], [], [], []
        for _ in range(settings.num_steps):
            observation = torch.from_numpy(np.asarray(next_observation))
            mask = torch.from_numpy(np.asarray(infos["action_mask"])).bool()
            with torch.no_grad():
                distribution, value = policy(observation, mask)
                action = distribution.sample()
            next_observation, reward, terminated, truncated, infos = envs.step(action.numpy())
            observations.append(observation)
            masks.append(mask)
            actions.append(action)
            logprobs.append(distribution.log_prob(action))
            values.append(value)
            rewards.append(torch.as_tensor(reward, dtype=torch.float32))
            dones.append(torch.from_numpy(terminated | truncated))
        with torch.no_grad():
            mask = torch.from_numpy(np.asarray(infos["action_mask"])).bool()
            _, next_value = policy(torch.from_numpy(np.asarray(next_observation)), mask)
        advantages = _advantages(rewards, values, dones, next_value, settings)
        batch = [torch.cat(steps) for steps in (observations, masks, actions, logprobs)]
        _update(policy, optimizer, batch, advantages, torch.cat(values), settings)
        report(batch_size)
    envs.close()
    return policy


def _advantages(
    rewards: list[torch.Tensor],
    values: list[torch.Tensor],
    dones: list[torch.Tensor],
    next_value: torch.Tensor,
    settings: StrategyPPOSettings,
) -> torch.Tensor:
    """Generalized advantage estimation, (num_steps * num_envs,), with value 0 after an end.

    Truncation by the turn limit counts as an end, because no reward is possible after it.
    """
    advantages, advantage = [], torch.zeros_like(next_value)
    for reward, value, done in zip(rewards[::-1], values[::-1], dones[::-1], strict=True):
        continues = (~done).float()
        delta = reward + settings.gamma * next_value * continues - value
        advantage = delta + settings.gamma * settings.gae_lambda * continues * advantage
        advantages.append(advantage)
        next_value = value
    return torch.cat(advantages[::-1])


def _update(
    policy: StrategyPolicy,
    optimizer: torch.optim.Optimizer,
    batch: list[torch.Tensor],
    advantages: torch.Tensor,
    values: torch.Tensor,
    settings: StrategyPPOSettings,
) -> None:
    observations, masks, actions, logprobs = batch
    returns = advantages + values
    size = len(actions) // settings.num_minibatches
    for _ in range(settings.update_epochs):
        for rows in torch.randperm(len(actions)).split(size):
            distribution, new_values = policy(observations[rows], masks[rows])
            ratio = torch.exp(distribution.log_prob(actions[rows]) - logprobs[rows])
            advantage = advantages[rows]
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            clipped = ratio.clamp(1 - settings.clip_coef, 1 + settings.clip_coef)
            entropy = _entropy(distribution)
            loss = (
                -torch.min(advantage * ratio, advantage * clipped).mean()
                - settings.ent_coef * entropy.mean()
                + settings.vf_coef * 0.5 * ((new_values - returns[rows]) ** 2).mean()
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), settings.max_grad_norm)
            optimizer.step()


def _entropy(distribution: Categorical) -> torch.Tensor:
    """The entropy of each row, (n,), where masked actions add 0 instead of NaN."""
    logits = distribution.logits
    return -(distribution.probs * logits.masked_fill(logits == float("-inf"), 0.0)).sum(-1)

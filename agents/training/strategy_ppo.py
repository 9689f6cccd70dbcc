"""PPO on `persuade_env/StrategyPersuasion-v0`, from top to bottom in one file, in CleanRL's manner.

The libraries' agents see one long vector and an index for each action, and have to learn for every
index anew what its three numbers mean. Here one small network scores each strategy by its own
numbers, the same network for all, so what is learned of one is known of all others: also of
those of scenarios that were never seen.

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
    """The hyperparameters; most are CleanRL's."""

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
    """Scores every strategy with one network, and the situation with another."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.actor = _network(8, hidden, 0.01)
        self.critic = _network(8, hidden, 1.0)

    def forward(
        self, observations: torch.Tensor, masks: torch.Tensor
    ) -> tuple[Categorical, torch.Tensor]:
        """The distribution over allowed actions, and values (n,).

        Args:
            observations: (n, size), as `StrategyPersuasionEnv.observe` lays them out.
            masks: (n, n_actions), true for allowed.
        """
        count = masks.shape[1]
        # Three numbers an action; guessed attitude and turn are the same for all.
        own = observations[:, 2 * DIMENSIONS : -2].view(-1, count, 3)
        shared = observations[:, -2:]
        allowed = masks[:, :, None]
        mean = (own * allowed).sum(1) / allowed.sum(1).clamp(min=1)
        best = own.masked_fill(~allowed, -1.0).amax(1)
        inputs = torch.cat(
            [own, own - mean[:, None], shared[:, None].expand(-1, count, -1)], dim=-1
        )
        logits = self.actor(inputs)[..., 0].masked_fill(~masks, float("-inf"))
        values = self.critic(torch.cat([mean, best, shared], dim=-1))[:, 0]
        return Categorical(logits=logits), values


def _network(inputs: int, hidden: int, last: float) -> nn.Sequential:
    layers = [nn.Linear(inputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)]
    for layer, gain in zip(layers, (2**0.5, 2**0.5, last), strict=True):
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
    """Trains a policy in `num_envs` environments side by side.

    Args:
        report: told how many steps an iteration took.
    """
    envs = gym.make_vec(
        "persuade_env/StrategyPersuasion-v0",
        num_envs=settings.num_envs,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        user_model=user_model,
        scenarios=scenarios,
    )
    torch.manual_seed(settings.seed)
    policy = StrategyPolicy(settings.hidden)
    optimizer = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate, eps=1e-5)
    batch = settings.num_envs * settings.num_steps
    iterations = max(1, settings.total_steps // batch)
    seen, infos = envs.reset(seed=settings.seed)
    for iteration in range(iterations):
        optimizer.param_groups[0]["lr"] = settings.learning_rate * (1 - iteration / iterations)
        observations, masks, actions, logprobs, rewards, dones, values = [], [], [], [], [], [], []
        for _ in range(settings.num_steps):
            observation = torch.from_numpy(np.asarray(seen))
            mask = torch.from_numpy(np.asarray(infos["action_mask"])).bool()
            with torch.no_grad():
                choices, value = policy(observation, mask)
                action = choices.sample()
            seen, reward, terminated, truncated, infos = envs.step(action.numpy())
            observations.append(observation)
            masks.append(mask)
            actions.append(action)
            logprobs.append(choices.log_prob(action))
            values.append(value)
            rewards.append(torch.as_tensor(reward, dtype=torch.float32))
            dones.append(torch.from_numpy(terminated | truncated))
        with torch.no_grad():
            mask = torch.from_numpy(np.asarray(infos["action_mask"])).bool()
            _, following = policy(torch.from_numpy(np.asarray(seen)), mask)
        advantages = _advantages(rewards, values, dones, following, settings)
        kept = [torch.cat(one) for one in (observations, masks, actions, logprobs)]
        _update(policy, optimizer, kept, advantages, torch.cat(values), settings)
        report(batch)
    envs.close()
    return policy


def _advantages(
    rewards: list[torch.Tensor],
    values: list[torch.Tensor],
    dones: list[torch.Tensor],
    following: torch.Tensor,
    settings: StrategyPPOSettings,
) -> torch.Tensor:
    """Generalized advantage estimation, (num_steps * num_envs,); what ends is worth nothing more.

    Turns that run out count as an end: nothing more can be earned then.
    """
    advantages, running = [], torch.zeros_like(following)
    for reward, value, done in zip(rewards[::-1], values[::-1], dones[::-1], strict=True):
        going = (~done).float()
        surprise = reward + settings.gamma * following * going - value
        running = surprise + settings.gamma * settings.gae_lambda * going * running
        advantages.append(running)
        following = value
    return torch.cat(advantages[::-1])


def _update(
    policy: StrategyPolicy,
    optimizer: torch.optim.Optimizer,
    kept: list[torch.Tensor],
    advantages: torch.Tensor,
    values: torch.Tensor,
    settings: StrategyPPOSettings,
) -> None:
    observations, masks, actions, logprobs = kept
    returns = advantages + values
    size = len(actions) // settings.num_minibatches
    for _ in range(settings.update_epochs):
        for rows in torch.randperm(len(actions)).split(size):
            choices, now = policy(observations[rows], masks[rows])
            ratio = torch.exp(choices.log_prob(actions[rows]) - logprobs[rows])
            gain = advantages[rows]
            gain = (gain - gain.mean()) / (gain.std() + 1e-8)
            clipped = ratio.clamp(1 - settings.clip_coef, 1 + settings.clip_coef)
            entropy = _entropy(choices)
            loss = (
                -torch.min(gain * ratio, gain * clipped).mean()
                - settings.ent_coef * entropy.mean()
                + settings.vf_coef * 0.5 * ((now - returns[rows]) ** 2).mean()
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), settings.max_grad_norm)
            optimizer.step()


def _entropy(choices: Categorical) -> torch.Tensor:
    """Of each row, (n,); what is masked has probability 0 and adds nothing, not NaN."""
    logs = choices.logits
    return -(choices.probs * logs.masked_fill(logs == float("-inf"), 0.0)).sum(-1)

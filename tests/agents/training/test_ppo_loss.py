"""The PPO loss and generalized advantage estimation against plain arithmetic."""

import numpy as np
import pytest
import torch

from agents.training.config import PPOSettings
from agents.training.policy import SampledTurn
from agents.training.ppo_loss import gae, ppo_loss


def test_gae_is_the_brute_force_sum():
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=7), rng.normal(size=7)
    gamma, lam = 0.9, 0.8
    next_values = np.append(values[1:], 0.0)
    deltas = rewards + gamma * next_values - values
    expected = [sum((gamma * lam) ** k * deltas[t + k] for k in range(7 - t)) for t in range(7)]
    advantages, returns = gae(rewards, values, gamma, lam)
    assert np.allclose(advantages, expected)
    assert np.allclose(returns, np.asarray(expected) + values)
    # With lambda 1 and no discount, a return is the sum of all later rewards.
    _, returns = gae(rewards, values, 1.0, 1.0)
    assert np.allclose(returns, np.cumsum(rewards[::-1])[::-1])


def toy():
    rng = np.random.default_rng(3)

    def tensor(scale=1.0):
        return torch.tensor(rng.normal(size=6) * scale, dtype=torch.float64)

    turn = SampledTurn(0, (1,), (2,) * 6, 0.0)
    turn.logprobs, turn.reference, turn.values = tensor() - 2, tensor() - 2, tensor()
    turn.advantages, turn.returns = tensor(), tensor()
    return turn, turn.logprobs + tensor(0.3), turn.values + tensor(0.3), tensor().abs()


def textbook(turn, logprobs, values, entropy, kl_weight, settings):
    """The loss token by token, in plain arithmetic."""
    total = 0.0
    for t in range(len(logprobs)):
        ratio = float(torch.exp(logprobs[t] - turn.logprobs[t]))
        advantage = float(turn.advantages[t])
        low, high = 1 - settings.clip, 1 + settings.clip
        total -= min(ratio * advantage, min(max(ratio, low), high) * advantage)
        old, target, new = float(turn.values[t]), float(turn.returns[t]), float(values[t])
        clipped = old + min(max(new - old, -settings.value_clip), settings.value_clip)
        total += settings.value_weight * 0.5 * max((new - target) ** 2, (clipped - target) ** 2)
        total -= settings.entropy_weight * float(entropy[t])
        log_ratio = float(turn.reference[t] - logprobs[t])
        total += kl_weight * ratio * (np.exp(log_ratio) - log_ratio - 1)
    return total


def test_the_loss_and_its_gradient_are_the_textbooks():
    settings = PPOSettings(entropy_weight=0.01, value_weight=0.3)
    turn, logprobs, values, entropy = toy()
    variables = [logprobs.requires_grad_(), values.requires_grad_()]
    loss, _ = ppo_loss(logprobs, values, entropy, turn, 0.2, settings)
    assert float(loss) == pytest.approx(textbook(turn, logprobs, values, entropy, 0.2, settings))
    gradients = torch.autograd.grad(loss, variables)
    for variable, gradient in zip(variables, gradients, strict=True):
        for index in range(len(variable)):
            sides = []
            for shift in (1e-6, -1e-6):
                shifted = [variable.detach().clone() for variable in variables]
                shifted[0 if variable is logprobs else 1][index] += shift
                sides.append(textbook(turn, *shifted, entropy, 0.2, settings))
            assert float(gradient[index]) == pytest.approx((sides[0] - sides[1]) / 2e-6, abs=1e-4)

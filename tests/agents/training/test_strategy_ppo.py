"""The single-file PPO on the strategy environment: equivariance, masking, advantages, learning."""

import math

import pytest
import torch
from torch.distributions import Categorical

from agents.training.ppo_loss import gae
from agents.training.strategy_ppo import (
    StrategyPolicy,
    StrategyPPOSettings,
    _advantages,
    _entropy,
    train_strategy_ppo,
)
from persuade_env.envs.strategy import DIMENSIONS
from persuade_env.scenarios import load_corpus

SIZE = 2 * DIMENSIONS + 3 * 4 + 2


pytestmark = pytest.mark.usefixtures("one_thread")


def test_strategies_that_change_places_change_their_chances_with_them():
    torch.manual_seed(0)
    policy = StrategyPolicy(16)
    policy.actor[-1].weight.data.normal_()
    observation = torch.rand(1, SIZE)
    swapped = observation.clone()
    first, second = (
        slice(2 * DIMENSIONS, 2 * DIMENSIONS + 3),
        slice(2 * DIMENSIONS + 3, 2 * DIMENSIONS + 6),
    )
    swapped[:, first], swapped[:, second] = observation[:, second], observation[:, first]
    mask = torch.tensor([[True, True, True, False]])
    with torch.no_grad():
        (distribution, value), (permuted, permuted_value) = (
            policy(observation, mask),
            policy(swapped, mask),
        )
    order = [1, 0, 2, 3]
    assert distribution.probs[0, order].tolist() == pytest.approx(
        permuted.probs[0].tolist(), abs=1e-6
    )
    assert value.item() == pytest.approx(permuted_value.item(), abs=1e-6)
    assert distribution.probs[0, 3] == 0.0
    assert distribution.probs[0, 0] != pytest.approx(distribution.probs[0, 1].item(), abs=1e-3)


def test_what_a_masked_action_shows_changes_nothing():
    policy = StrategyPolicy(16)
    observation = torch.rand(1, SIZE)
    other = observation.clone()
    other[:, 2 * DIMENSIONS + 9 : 2 * DIMENSIONS + 12] = 0.0
    mask = torch.tensor([[True, True, True, False]])
    assert torch.equal(policy(observation, mask)[0].probs, policy(other, mask)[0].probs)


def test_advantages_are_those_of_the_plain_formula_and_stop_at_ends():
    settings = StrategyPPOSettings(gamma=0.9, gae_lambda=0.8)
    rewards, values = [1.0, -0.5, 0.25, 2.0], [0.3, 0.1, -0.2, 0.4]
    done = [False, True, False, True]  # two episodes of two steps
    advantages = _advantages(
        [torch.tensor([reward]) for reward in rewards],
        [torch.tensor([value]) for value in values],
        [torch.tensor([end]) for end in done],
        torch.tensor([7.0]),  # the value of the next episode, which must not leak in
        settings,
    )
    expected = [
        *gae(rewards[:2], values[:2], 0.9, 0.8)[0],
        *gae(rewards[2:], values[2:], 0.9, 0.8)[0],
    ]
    assert advantages.tolist() == pytest.approx(expected)


def test_entropy_with_masked_actions_is_that_of_the_allowed_ones():
    logits = torch.tensor([[0.0, 0.0, float("-inf")]], requires_grad=True)
    entropy = _entropy(Categorical(logits=logits))
    assert entropy.item() == pytest.approx(math.log(2))
    entropy.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_the_same_seed_gives_the_same_policy_and_training_changes_it():
    scenarios = [record.scenario for record in load_corpus("train")[:4]]
    settings = StrategyPPOSettings(total_steps=128, num_envs=2, num_steps=32, seed=3)
    reported = []
    first = train_strategy_ppo(settings, scenarios=scenarios, report=reported.append)
    again = train_strategy_ppo(settings, scenarios=scenarios)
    torch.manual_seed(settings.seed)
    untrained = StrategyPolicy(settings.hidden)
    assert reported == [64, 64]
    for parameter, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(parameter, other)
    assert any(
        not torch.equal(parameter, other)
        for parameter, other in zip(first.parameters(), untrained.parameters(), strict=True)
    )


@pytest.mark.slow
def test_it_learns_to_answer_what_was_said():
    """On scenarios not trained on, its return exceeds that of random strategies by 0.3 points."""
    from experiments.benchmark.strategies import evaluate, make_env, random_policy, train

    env = make_env("validation", "concerns")
    policy = train("per-strategy-ppo", "concerns", 12_000, 0)
    learned = [result.episode_return for result in evaluate(env, [policy], 1, seed=0)]
    random = [result.episode_return for result in evaluate(env, [random_policy(0)], 1, seed=0)]
    assert sum(learned) / len(learned) > sum(random) / len(random) + 0.3

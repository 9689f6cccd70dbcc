"""The oracle against brute force, where brute force is possible."""

import itertools

import gymnasium as gym
import pytest

from agents.persuaders.strategy_oracle import best_plan
from persuade_env.dialogue import Concern
from tests.helpers import DOG, TENT, scenario

BOAT = Concern(
    id="boat",
    text="I get seasick on every boat.",
    settled_by="going by train and not by boat",
    worsened_by="saying that the boat ride is short",
)


def environment(max_turns, **arguments):
    small = scenario(concerns=(TENT, DOG, BOAT), **arguments).model_copy(
        update={
            "strategies": (
                "lend a tent and a sleeping bag",
                "let a neighbour feed and walk the dog",
                "go by train and not by boat",
                "talk about the weather",
            ),
            "facts": (),
        }
    )
    return gym.make(
        "persuade_env/StrategyPersuasion-v1", scenarios=[small], max_turns=max_turns, n_actions=4
    ).unwrapped


def brute_force(env, episode, depth):
    best = float("-inf")
    for actions in itertools.product(range(4), repeat=depth):
        current, total = episode, 0.0
        for action in actions:
            current = env.after(current, action)
            total += current.reward
            if current.done:
                break
        best = max(best, total)
    return best


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("stubbornness", "attitude"), [(0.1, 3.0), (0.9, 1.5), (0.9, 2.5)])
def test_it_finds_what_brute_force_finds(seed, stubbornness, attitude):
    env = environment(4, stubbornness=stubbornness, initial_attitude=attitude)
    env.reset(seed=seed)
    plan = best_plan(env.episode, env.after, 4)
    assert plan.reward == pytest.approx(brute_force(env, env.episode, 4))


def test_the_plan_earns_what_it_promises():
    env = environment(5)
    env.reset(seed=1)
    plan = best_plan(env.episode, env.after, 4)
    earned, over = 0.0, False
    for action in plan.actions:
        assert not over
        _, reward, terminated, truncated, info = env.step(action)
        earned, over = earned + reward, terminated or truncated
    assert over
    assert earned == pytest.approx(plan.reward)
    assert info["outcome"] == "accepted"

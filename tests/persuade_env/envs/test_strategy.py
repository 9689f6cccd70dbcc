"""The strategy environment: Gymnasium's contract, its masks, and what it hides."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from persuade_env.envs.strategy import DIMENSIONS, MAX_STRATEGIES, StrategyPersuasionEnv
from persuade_env.errors import PersuaderError, ScenarioError
from tests.helpers import ScriptedUser, felt, scenario

ID = "persuade_env/StrategyPersuasion-v1"


def make(**arguments):
    return gym.make(ID, **arguments).unwrapped


def play(env, actions, seed=5):
    trace = [env.reset(seed=seed)[0]]
    rewards = []
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        trace.append(observation)
        rewards.append(reward)
        if terminated or truncated:
            break
    return trace, rewards


def test_it_passes_gymnasiums_own_checker():
    check_env(make(scenarios="validation"))


def test_the_same_seed_and_actions_give_the_same_episode():
    actions = [3, 1, 4, 1, 5, 9]
    first, second = (play(make(), actions) for _ in range(2))
    assert first[1] == second[1]
    assert all(np.array_equal(a, b) for a, b in zip(first[0], second[0], strict=True))


def test_it_can_be_vectorized_as_it_is():
    envs = gym.make_vec(ID, num_envs=3, vectorization_mode="sync")
    observations, info = envs.reset(seed=1)
    assert observations.shape == (3, 2 * DIMENSIONS + 3 * MAX_STRATEGIES + 2)
    assert info["action_mask"].shape == (3, MAX_STRATEGIES)
    observations, rewards, *_ = envs.step(envs.action_space.sample())
    assert observations.dtype == np.float32
    assert rewards.shape == (3,)


def test_the_mask_allows_the_scenarios_strategies_and_the_rest_is_silence():
    env = make(scenarios=[scenario()], user_model=ScriptedUser(felt(3)))
    _, info = env.reset(seed=0)
    assert info["action_mask"].tolist() == [1] * 3 + [0] * (MAX_STRATEGIES - 3)
    assert env.action_masks().tolist() == info["action_mask"].astype(bool).tolist()
    _, _, _, _, info = env.step(0)
    assert info["strategy"] == "lend the tent"
    assert info["messages"][-2]["content"] == "Let me lend the tent. Ana has a second tent."
    _, _, _, _, info = env.step(MAX_STRATEGIES - 1)
    assert info["strategy"] == ""
    assert info["messages"][-2]["content"] == ""


def test_the_observation_says_what_was_used_and_when():
    env = make(scenarios=[scenario()], user_model=ScriptedUser(felt(3)), max_turns=4)
    start, _ = env.reset(seed=0)
    after, *_ = env.step(1)

    def actions(observation):
        first = 2 * DIMENSIONS
        return observation[first : first + 3 * MAX_STRATEGIES].reshape(-1, 3)

    assert actions(start)[:, 2].sum() == 0
    assert actions(after)[:, 2].tolist() == [0.0, 1.0] + [0.0] * (MAX_STRATEGIES - 2)
    assert (start[-1], after[-1]) == (0.0, 0.25)
    assert np.all(start[DIMENSIONS : 2 * DIMENSIONS] == 0)
    assert np.linalg.norm(start[:DIMENSIONS]) == pytest.approx(1.0, abs=1e-5)


def test_nothing_hidden_is_observed():
    """Persona and attitude may change as they like while the words stay the same."""
    other = scenario(stubbornness=0.9, initial_attitude=6.0, concerns=())
    seen = []
    for one, attitude in ((scenario(), 2.0), (other, 4.5)):
        env = make(scenarios=[one], user_model=ScriptedUser(felt(attitude, response="Hm, no.")))
        seen.append(play(env, [0, 1])[0])
    assert all(np.array_equal(a, b) for a, b in zip(*seen, strict=True))


def test_words_guess_the_attitude_in_the_right_direction():
    guesses = []
    for words in ("Yes, all right, I'll gladly do it.", "No. Stop it and leave me alone."):
        env = make(scenarios=[scenario()], user_model=ScriptedUser(felt(3, response=words)))
        guesses.append(play(env, [0])[0][-1][-2])
    assert guesses[0] > guesses[1]


def test_misuse_is_told():
    env = make()
    with pytest.raises(ResetNeeded):
        StrategyPersuasionEnv().step(0)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="0 to 13"):
        env.step(14)
    bare = scenario().model_copy(update={"strategies": ()})
    with pytest.raises(ScenarioError, match="0 candidate strategies"):
        make(scenarios=[bare])
    with pytest.raises(ScenarioError, match="takes 1 to 2"):
        make(scenarios=[scenario()], n_actions=2)


def test_a_failing_realizer_ends_the_episode_without_reward():
    class Fails:
        def realize(self, dialogues, strategies, seeds):
            raise PersuaderError("no words")

    env = make(scenarios=[scenario()], realizer=Fails())
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(0)
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert (info["valid"], info["error_kind"]) == (False, "persuader")


def test_trying_out_changes_nothing():
    env = make(scenarios=[scenario()])
    env.reset(seed=3)
    before = env.episode
    tried = env.after(before, 0)
    assert env.episode is before
    env.step(0)
    assert env.episode == tried


def test_it_renders():
    env = gym.make(ID, scenarios=[scenario()], render_mode="ansi").unwrapped
    env.reset(seed=0)
    env.step(0)
    assert "Let me lend the tent." in env.render()

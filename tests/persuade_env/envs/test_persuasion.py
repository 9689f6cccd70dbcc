import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st

import persuade_env  # noqa: F401 - registers the ids
from persuade_env.dialogue import Decision
from persuade_env.envs.spaces import Language
from persuade_env.errors import PersuadeError, ScenarioError, UnknownNameError
from tests.helpers import FAILURE, ScriptedUser, felt, scenario

ID = "persuade_env/Persuasion-v1"


def make(**kwargs):
    return gym.make(ID, **kwargs)


def shape(value):
    """Keys and types, all the way down; list lengths may grow."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])]
    return type(value)


@pytest.mark.filterwarnings("ignore:.*render.*")
def test_gymnasium_s_own_checker_is_content():
    check_env(make().unwrapped)


@given(st.text())
def test_the_text_space_takes_any_unicode_and_nothing_at_all(text):
    assert text in Language()


def test_other_things_than_text_are_not_in_the_space():
    space = Language(max_length=3)
    assert "four" not in space
    assert 3 not in space
    assert all(space.sample() in space for _ in range(20))


def test_the_same_seed_is_the_same_dialogue():
    def play():
        env = make()
        trace = [env.reset(seed=11)]
        for action in ("What worries you?", "I can lend you mine.", "Really, do it."):
            trace.append(env.step(action))
            if trace[-1][2] or trace[-1][3]:
                break
        return trace

    assert play() == play()


def test_info_has_one_schema():
    env = make(user_model=ScriptedUser(felt(4), felt(6, Decision.ACCEPT)))
    _, info = env.reset(seed=1)
    for _ in range(2):
        _, _, terminated, _, later = env.step("Come along.")
        assert shape(later) == shape(info)
    assert terminated
    assert later["outcome"] == "accepted"


def test_the_observation_is_public():
    env = make(scenarios=[scenario()], user_model=ScriptedUser(felt(4, response="Who feeds him?")))
    observation, _ = env.reset(seed=0)
    observation, *_ = env.step("Analysis: press him\nStrategy: wait\nResponse: Come camping.")
    assert "Ana: Come camping." in observation
    assert "Bo: Who feeds him?" in observation
    for secret in ("press him", "own a tent", "stubborn", "calm"):
        assert secret not in observation


def test_the_reward_is_the_sum_of_the_terms_in_the_open():
    env = make(user_model=ScriptedUser(felt(4)), reward={"attitude_gain": 6.0, "words": 1.0})
    env.reset(seed=0, options={"scenario_id": "art-001"})
    _, reward, _, _, info = env.step("one two")
    assert reward == pytest.approx(sum(info["reward_terms"].values()))
    assert info["reward_terms"] == {"attitude_gain": pytest.approx(1.5), "words": -0.02}


def test_a_failed_user_model_truncates_without_reward():
    env = make(user_model=ScriptedUser(FAILURE))
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step("Hello.")
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert (info["valid"], info["error_kind"], info["stop_reason"]) == (
        False,
        "user_model",
        "error",
    )


def test_the_turn_limit_truncates():
    env = make(user_model=ScriptedUser(felt(4)), max_turns=2)
    env.reset(seed=0)
    assert env.step("One.")[3] is False
    *_, truncated, info = env.step("Two.")
    assert truncated
    assert info["stop_reason"] == "max_turns"


def test_a_step_before_the_reset_or_after_the_end_is_an_error():
    env = make(user_model=ScriptedUser(felt(6, Decision.ACCEPT))).unwrapped
    with pytest.raises(ResetNeeded):
        env.step("Hello?")
    env.reset(seed=0)
    env.step("Come.")
    with pytest.raises(ResetNeeded):
        env.step("And again.")


def test_unknown_names_list_what_exists():
    with pytest.raises(UnknownNameError, match="concerns"):
        make(user_model="nobody")
    with pytest.raises(UnknownNameError, match="leisure-901"):
        make(scenarios=[scenario()]).reset(options={"scenario_id": "x"})
    with pytest.raises(UnknownNameError, match="unknown reset option 'scenario'; known: scenario_"):
        make(scenarios=[scenario()]).reset(options={"scenario": "leisure-901"})
    with pytest.raises(UnknownNameError, match="attitude_gain"):
        make(reward={"charm": 1})
    with pytest.raises(ScenarioError):
        make(scenarios=[])
    with pytest.raises(PersuadeError, match="max_turns"):
        make(max_turns=1)
    env = make().unwrapped
    env.reset(seed=0)
    with pytest.raises(TypeError):
        env.step(np.zeros(3))


def test_what_is_rendered_is_readable_and_can_t_drive_a_terminal(capsys):
    user = ScriptedUser(felt(4, response="Bell\x07 and \x1b[2J escape"))
    env = make(scenarios=[scenario()], user_model=user, render_mode="ansi")
    env.reset(seed=0)
    env.step("Hello there.")
    text = env.render()
    assert "Ana: Hello there." in text
    assert "Bo (4.0 wary): Bell? and ?[2J escape" in text
    human = make(scenarios=[scenario()], user_model=user, render_mode="human")
    human.reset(seed=0)
    human.step("Hello there.")
    assert "Ana: Hello there." in capsys.readouterr().out


def test_concerns_cost_no_tokens():
    env = make(max_turns=1000, scenarios=[scenario(stubbornness=0.0)])
    env.reset(seed=0)
    _, _, _, truncated, info = env.step("")
    assert not truncated
    assert info["user_completion_tokens"] == 0

"""Ids of versions that no longer exist say which one to use, and why."""

import gymnasium as gym
import pytest

import persuade_env  # noqa: F401  (registers the ids)
from persuade_env.errors import OutdatedEnvironmentError


@pytest.mark.filterwarnings("ignore:.*out of date:DeprecationWarning")
@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
@pytest.mark.parametrize("name", ["Persuasion", "StrategyPersuasion"])
def test_version_0_names_version_1_and_says_why_in_one_line(make, name):
    with pytest.raises(OutdatedEnvironmentError) as raised:
        make(f"persuade_env/{name}-v0", user_model="concerns", max_turns=4)
    message = str(raised.value)
    assert f"use persuade_env/{name}-v1: " in message
    assert all(reason in message for reason in ("corpus", "reward", "turns"))
    assert "\n" not in message

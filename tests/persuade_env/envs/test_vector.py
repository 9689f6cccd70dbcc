"""The vector environment against single ones, and against Gymnasium's contract."""

import copy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from persuade_env.dialogue import Decision
from persuade_env.envs.persuasion import PersuasionEnv
from persuade_env.envs.vector import PersuasionVectorEnv
from persuade_env.scenarios import load_corpus
from tests.helpers import FAILURE, ScriptedUser, felt, scenario

SAYINGS = ("What worries you?", "I'll lend you my own.", "You are wonderful!", "Just do it.", "")
MODES = list(AutoresetMode)


def facts_and_pushing(step: int, index: int) -> str:
    """Different at every place, so that dialogues end at different times."""
    scenario = load_corpus("train")[(step + index) % 10]
    said = (*scenario.facts, *SAYINGS)
    return said[(3 * step + index) % len(said)]


def make(width=3, **kwargs):
    return gym.make_vec(
        "persuade_env/Persuasion-v1",
        num_envs=width,
        vectorization_mode="vector_entry_point",
        **kwargs,
    )


def test_make_vec_finds_the_batched_environment():
    assert isinstance(make(), PersuasionVectorEnv)
    assert isinstance(gym.make_vec("persuade_env/Persuasion-v1", num_envs=2), PersuasionVectorEnv)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_it_is_what_gymnasium_makes_of_single_environments(mode):
    ours = make(4, max_turns=3, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: PersuasionEnv(max_turns=3)] * 4, autoreset_mode=mode)
    (seen, info), (expected, expected_info) = ours.reset(seed=5), theirs.reset(seed=5)
    assert tuple(seen) == tuple(expected)
    assert_same(info, expected_info)
    ends = 0
    for step in range(12):
        actions = tuple(facts_and_pushing(step, index) for index in range(4))
        mine, reference = ours.step(actions), theirs.step(actions)
        assert tuple(mine[0]) == tuple(reference[0])
        for a, b in zip(mine[1:4], reference[1:4], strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
        assert_same(mine[4], reference[4])
        ends += int((mine[2] | mine[3]).sum())
    assert ends >= 8


def assert_same(ours, theirs):
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        if isinstance(value, dict):
            assert_same(ours[key], value)
        else:
            assert len(ours[key]) == len(value)
            for a, b in zip(ours[key], value, strict=True):
                assert a is b or np.all(a == b), key


@pytest.mark.parametrize("width", [1, 3, 8])
def test_dialogues_are_the_same_at_any_width(width):
    singles = []
    for index in range(width):
        env = PersuasionEnv(max_turns=4)
        env.reset(seed=20 + index)
        while not env.episode.done:
            env.step(facts_and_pushing(env.episode.turn, index))
        singles.append(env.episode)
    vector = make(width, max_turns=4, autoreset_mode=AutoresetMode.SAME_STEP)
    vector.reset(seed=20)
    ended = {}
    for step in range(4):
        before = [episode.turn for episode in vector.unwrapped.episodes]
        result = vector.step(tuple(facts_and_pushing(turn, i) for i, turn in enumerate(before)))
        for index in np.flatnonzero(result[2] | result[3]):
            ended.setdefault(int(index), result[4]["final_info"]["messages"][index])
        assert step < 4
    for index, episode in enumerate(singles):
        spoken = [turn.response for turn in episode.dialogue.turns]
        assert [one["content"] for one in ended[index][1:]] == spoken


def test_next_step_ignores_one_action_and_then_begins_anew():
    env = make(2, user_model=ScriptedUser(felt(6, Decision.ACCEPT)))
    env.reset(seed=0)
    _, rewards, terminated, _, info = env.step(("Come.", "Come."))
    assert terminated.all()
    assert (rewards > 0).all()
    assert list(info["turn"]) == [1, 1]
    _, rewards, terminated, truncated, info = env.step(("ignored", "ignored"))
    assert not (terminated | truncated).any()
    assert list(rewards) == [0, 0]
    assert list(info["turn"]) == [0, 0]


def test_same_step_hands_over_the_end_and_the_new_beginning():
    env = make(2, user_model=ScriptedUser(felt(6, Decision.ACCEPT)), autoreset_mode="SameStep")
    env.reset(seed=0)
    seen, _, terminated, _, info = env.step(("Come along.", "Please."))
    assert terminated.all()
    assert list(info["turn"]) == [0, 0]
    assert list(info["final_info"]["turn"]) == [1, 1]
    assert list(info["_final_obs"]) == [True, True]
    assert "Come along." in info["final_obs"][0]
    assert "Come along." not in seen[0]


def test_disabled_waits_for_a_mask():
    user = ScriptedUser(felt(6, Decision.ACCEPT))
    env = make(3, user_model=user, autoreset_mode=AutoresetMode.DISABLED)
    seen, _ = env.reset(seed=0)
    env.step(("a", "b", "c"))
    with pytest.raises(ResetNeeded):
        env.step(("a", "b", "c"))
    mask = np.array([True, False, True])
    again, info = env.reset(options={"reset_mask": mask})
    assert list(info["_turn"]) == [True, False, True]
    assert again[1] != seen[1]  # the ended one still shows its dialogue
    assert env.unwrapped.episodes[1].done
    assert not env.unwrapped.episodes[0].done


@pytest.mark.parametrize(
    ("mask", "error"),
    [
        ([True, False, False], TypeError),
        (np.array([1, 0, 0]), TypeError),
        (np.array([True, False]), ValueError),
        (np.zeros(3, dtype=bool), ValueError),
    ],
)
def test_a_wrong_mask_is_refused(mask, error):
    env = make(3)
    env.reset(seed=0)
    with pytest.raises(error):
        env.reset(options={"reset_mask": mask})


def test_what_was_returned_is_the_caller_s():
    env = make(2)
    _, info = env.reset(seed=0)
    kept = copy.deepcopy(info)
    result = env.step(("Hello.", "Hello."))
    assert_same(info, kept)
    before = copy.deepcopy(result[4])
    for messages in result[4]["messages"]:
        messages.clear()
    result[1][:] = 99
    later = env.step(("And now?", "And now?"))
    assert len(later[4]["messages"][0]) > len(before["messages"][0])
    assert (later[1] != 99).all()


def test_one_call_of_the_user_model_per_step():
    user = ScriptedUser(felt(4))
    env = make(8, user_model=user)
    env.reset(seed=0)
    env.step(("Hello.",) * 8)
    assert [len(call) for call in user.calls] == [8]


def test_a_failure_stays_in_its_own_place():
    class OneFails(ScriptedUser):
        def _one(self, dialogue):
            if dialogue.persuader_turns[-1].response == "break":
                return ScriptedUser(FAILURE)._one(dialogue)
            return super()._one(dialogue)

    env = make(2, user_model=OneFails(felt(4)), scenarios=[scenario()])
    env.reset(seed=0)
    _, rewards, _, truncated, info = env.step(("break", "hello"))
    assert list(truncated) == [True, False]
    assert list(info["valid"]) == [False, True]
    assert rewards[0] == 0


def test_wrong_numbers_of_actions_and_seeds():
    env = make(3)
    with pytest.raises(ValueError, match="3 sub-environments"):
        env.reset(seed=[1, 2])
    env.reset(seed=[1, None, 3])
    for actions in ("abc", ("a", "b")):
        with pytest.raises(ValueError, match="expected 3 actions"):
            env.step(actions)

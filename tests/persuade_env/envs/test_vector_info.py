"""Infos assembled at once against Gymnasium's own assembly, one after the other."""

import numpy as np
from gymnasium.vector import VectorEnv
from hypothesis import given
from hypothesis import strategies as st

from persuade_env.envs.vector_info import batched

INFO = st.fixed_dictionaries(
    {
        "turn": st.integers(0, 9),
        "attitude": st.floats(1, 7),
        "valid": st.booleans(),
        "tone": st.text(max_size=5),
        "messages": st.lists(st.fixed_dictionaries({"role": st.text(max_size=3)}), max_size=3),
        "reward_terms": st.fixed_dictionaries({"words": st.floats(-1, 1)}),
        "nothing": st.just({}),
    }
)
FINAL = st.fixed_dictionaries({"final_obs": st.text(max_size=5), "final_info": INFO})


def some(infos):
    """Of six places, those that have one."""
    return st.lists(st.none() | infos, min_size=6, max_size=6)


def gymnasiums(infos):
    env = VectorEnv()
    env.num_envs = len(infos)
    batch = {}
    for index, info in enumerate(infos):
        if info is not None:
            batch = env._add_info(batch, info, index)
    return batch


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert type(ours[key]) is type(value), key
        if isinstance(value, dict):
            assert_same(ours[key], value)
        else:
            assert (ours[key].dtype, ours[key].shape) == (value.dtype, value.shape), key
            assert ours[key].tolist() == value.tolist(), key


@given(some(INFO))
def test_it_is_what_gymnasium_makes_of_them(infos):
    assert_same(batched(infos), gymnasiums(infos))


@given(some(FINAL))
def test_the_ends_of_some_too(finals):
    assert_same(batched(finals), gymnasiums(finals))


def test_no_two_keys_share_an_array():
    batch = batched([{"turn": 1, "tone": "firm"}, None])
    batch["_turn"][:] = False
    np.testing.assert_array_equal(batch["_tone"], [True, False])

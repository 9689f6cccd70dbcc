import pytest

from agents.persuaders.scripted import CONTROLS
from persuade_env.errors import ChatError, PersuaderError, UnknownNameError
from persuade_env.registry import load_persuader
from tests.helpers import ScriptedPersuader, ScriptedUser

MINE = ScriptedPersuader("Hello.")


def test_a_new_persuader_needs_no_registration():
    assert load_persuader("tests.agents.persuaders.test_loading:MINE") is MINE
    assert isinstance(load_persuader("tests.helpers:ScriptedPersuader"), ScriptedPersuader)


def test_controls_and_objects_are_found():
    assert all(isinstance(load_persuader(name), CONTROLS[name]) for name in CONTROLS)
    assert load_persuader(MINE) is MINE


@pytest.mark.parametrize("name", ["nobody", "sft", "no.module:thing"])
def test_an_unknown_agent_lists_what_exists(name):
    with pytest.raises(UnknownNameError, match=r"checkpoint.*flattering.*silent.*module:attribute"):
        load_persuader(name)


def test_what_is_no_persuader_is_refused():
    with pytest.raises(PersuaderError, match="no agent"):
        load_persuader(ScriptedUser())


def test_a_folder_without_a_checkpoint(tmp_path):
    with pytest.raises(ChatError, match="no checkpoint"):
        load_persuader(f"checkpoint={tmp_path}")

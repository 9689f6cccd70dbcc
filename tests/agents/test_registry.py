import pytest

from agents.persuaders.scripted import CONTROLS
from agents.registry import load_agent
from persuade_env.errors import ChatError, PersuaderError, UnknownNameError
from tests.helpers import ScriptedPersuader, ScriptedUser

MINE = ScriptedPersuader("Hello.")


def test_a_new_persuader_needs_no_registration():
    assert load_agent("tests.agents.test_registry:MINE") is MINE
    assert isinstance(load_agent("tests.helpers:ScriptedPersuader"), ScriptedPersuader)


def test_controls_and_objects_are_found():
    assert all(isinstance(load_agent(name), CONTROLS[name]) for name in CONTROLS)
    assert load_agent(MINE) is MINE


@pytest.mark.parametrize("name", ["nobody", "sft", "no.module:thing"])
def test_an_unknown_agent_lists_what_exists(name):
    with pytest.raises(UnknownNameError, match=r"silent.*flattering.*checkpoint=FOLDER"):
        load_agent(name)


def test_what_is_no_persuader_is_refused():
    with pytest.raises(PersuaderError, match="no persuader"):
        load_agent(ScriptedUser())


def test_a_folder_without_a_checkpoint(tmp_path):
    with pytest.raises(ChatError, match="no checkpoint"):
        load_agent(f"checkpoint={tmp_path}")

import pytest

from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.errors import UserModelError
from persuade_env.protocols import (
    Persuader,
    PersuaderReply,
    Usage,
    UserModel,
    UserReply,
    persuader_view,
    user_view,
)
from tests.helpers import ScriptedPersuader, ScriptedUser, felt, scenario

TURN = PersuaderTurn(
    analysis="He hesitates.", strategy="wait", response="Hello.", appeal="none", bluff=True
)
DIALOGUE = Dialogue(scenario=scenario(), turns=(TURN, felt(4)))


def test_a_reply_is_a_turn_or_an_error():
    for kind in (UserReply, PersuaderReply):
        with pytest.raises(ValueError, match="either a turn or an error"):
            kind()
        with pytest.raises(ValueError, match="either a turn or an error"):
            kind(turn=TURN, error=UserModelError("down"))


def test_usage_adds_up():
    assert sum([Usage(1, 2), Usage(10, 20)], Usage()) == Usage(11, 22)


def test_the_user_hears_words_alone():
    view = user_view(DIALOGUE)
    assert view.turns[0] == PersuaderTurn(response="Hello.")
    assert (view.scenario.strategies, view.scenario.facts) == ((), ())
    assert view.scenario.persona == DIALOGUE.scenario.persona


def test_labels_of_a_recorded_turn_don_t_reach_the_user():
    marked = TURN.model_copy(update={"good": False, "analysis": "", "strategy": ""})
    view = user_view(Dialogue(scenario=scenario(), turns=(marked,)))
    assert view.turns[0] == PersuaderTurn(response="Hello.")


def test_the_persuader_sees_no_persona_and_no_feelings():
    view = persuader_view(DIALOGUE)
    assert view.scenario.persona is None
    answer = view.turns[1]
    assert (answer.attitude, answer.tone, answer.concern) == (None, "", None)
    assert answer.response == DIALOGUE.turns[1].response
    assert view.turns[0] == TURN


def test_whoever_has_the_method_is_one():
    assert isinstance(ScriptedUser(), UserModel)
    assert isinstance(ScriptedPersuader(), Persuader)
    assert not isinstance(ScriptedUser(), Persuader)

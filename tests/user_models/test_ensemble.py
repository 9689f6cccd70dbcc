"""Members are combined by mean, quantile and majority."""

import pytest

from persuade_env.dialogue import Decision, Dialogue, PersuaderTurn
from persuade_env.errors import SpecError, UnknownNameError, UserModelError
from persuade_env.protocols import Usage, UserReply
from persuade_env.registry import load_user_model
from tests.helpers import felt, scenario
from user_models.ensemble import EnsembleUser
from user_models.rule_based import RuleBasedUser

DIALOGUE = Dialogue(scenario=scenario()).extended(PersuaderTurn(response="I'll lend you a tent."))


class Always:
    """Gives the same reply, or the same error, each time."""

    usage = Usage(10, 5)

    def __init__(self, turn):
        self.reply_with = turn

    def reply(self, dialogues, seeds):
        if isinstance(self.reply_with, UserModelError):
            return [UserReply(error=self.reply_with, usage=self.usage) for _ in dialogues]
        return [UserReply(turn=self.reply_with, usage=self.usage) for _ in dialogues]


def combined(*turns, quantile=None):
    (reply,) = EnsembleUser([Always(turn) for turn in turns], quantile).reply([DIALOGUE], [0])
    return reply


def test_the_attitude_is_common_and_the_nearest_member_speaks():
    reply = combined(felt(2, response="No."), felt(4, response="Hm."), felt(6, response="Yes!"))
    assert (reply.turn.attitude, reply.turn.response) == (4.0, "Hm.")
    assert reply.usage == Usage(30, 15)
    hard = combined(felt(2, response="No."), felt(4), felt(6), quantile=0.0)
    assert (hard.turn.attitude, hard.turn.response) == (2.0, "No.")


def test_an_end_needs_a_majority():
    yes, no, hm = felt(6, Decision.ACCEPT), felt(2, Decision.REFUSE), felt(4)
    assert combined(yes, yes, no).turn.decision is Decision.ACCEPT
    assert combined(yes, no).turn.decision is Decision.CONTINUE
    assert combined(no, no, hm).turn.decision is Decision.REFUSE
    assert combined(yes, hm, no).turn.decision is Decision.CONTINUE


def test_a_member_that_fails_makes_the_reply_an_error():
    reply = combined(felt(4), UserModelError("down"))
    assert reply.turn is None
    assert str(reply.error) == "down"
    assert reply.usage == Usage(20, 10)


def test_one_member_is_that_member_with_its_own_seed():
    ensemble = EnsembleUser([RuleBasedUser()])
    first = ensemble.reply([DIALOGUE] * 2, [1, 2])
    assert first == ensemble.reply([DIALOGUE] * 2, [1, 2])
    assert first[0].turn.attitude == RuleBasedUser().reply([DIALOGUE], [5])[0].turn.attitude


def test_it_is_named_by_its_members():
    ensemble = load_user_model("population=concerns+concerns@0.25")
    assert isinstance(ensemble, EnsembleUser)
    assert (len(ensemble.members), ensemble.quantile) == (2, 0.25)
    with pytest.raises(UserModelError, match="needs members"):
        load_user_model("population")
    with pytest.raises(SpecError, match="no quantile"):
        load_user_model("population=concerns@low")
    with pytest.raises(UserModelError, match="from 0 to 1"):
        load_user_model("population=concerns@7")
    with pytest.raises(UnknownNameError):
        load_user_model("population=concerns+nobody")

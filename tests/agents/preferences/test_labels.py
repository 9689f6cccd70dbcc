"""Labels against users whose attitudes are known, with and without words."""

import math

import pytest

from agents.preferences.labels import label_attitudes
from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.protocols import UserReply
from tests.helpers import FAILURE, ScriptedUser, felt, scenario
from user_models.ensemble import EnsembleUser
from user_models.rule_based import RuleBasedUser


def after(response, **kwargs):
    turn = PersuaderTurn(analysis="Secret.", strategy="Secret.", response=response)
    return Dialogue(scenario=scenario(**kwargs)).extended(turn)


class Silent:
    """Has attitudes alone, and none after a question."""

    def __init__(self):
        self.asked = []

    def attitudes(self, dialogues):
        self.asked += dialogues
        return [
            math.nan if "?" in dialogue.turns[-1].response else 2.0 + len(dialogue.turns)
            for dialogue in dialogues
        ]

    def reply(self, dialogues, seeds):
        assert all("?" in dialogue.turns[-1].response for dialogue in dialogues)
        return [UserReply(turn=felt(6)) for _ in dialogues]


def test_no_words_are_asked_for_where_the_attitude_is_known():
    user = Silent()
    assert label_attitudes(user, [after("a"), after("b?"), after("c")], [1, 2, 3]) == [3, 6, 3]
    assert {turn.analysis for dialogue in user.asked for turn in dialogue.turns} == {""}


def test_any_other_user_gives_a_whole_reply():
    user = ScriptedUser(felt(5))
    assert label_attitudes(user, [after("a"), after("b")], [7, 8]) == [5, 5]
    assert user.seeds == [[7, 8]]
    assert label_attitudes(user, [], []) == []


def test_a_failure_has_no_label():
    assert math.isnan(label_attitudes(ScriptedUser(FAILURE), [after("a")], [0])[0])
    assert math.isnan(label_attitudes(RuleBasedUser(), [after("a", concerns=())], [0])[0])


def test_the_rules_give_the_attitude_of_their_reply():
    user = RuleBasedUser()
    dialogues = [after("I'll lend you a tent and a sleeping bag."), after("Nice hat."), after("")]
    replies = user.reply(dialogues, [0, 1, 2])
    assert label_attitudes(user, dialogues, [3, 4, 5]) == [one.turn.attitude for one in replies]


@pytest.mark.parametrize("quantile", [None, 0.25])
def test_an_ensemble_has_the_attitude_of_its_reply(quantile):
    dialogues = [after("I'll lend you a tent and a sleeping bag."), after("Nice hat.")]
    user = EnsembleUser([RuleBasedUser(), Silent()], quantile)
    members = [RuleBasedUser().attitudes(dialogues), [3.0, 3.0]]
    low, high = (sorted(pair) for pair in zip(*members, strict=True))
    share = 0.5 if quantile is None else quantile
    expected = [one[0] + share * (one[1] - one[0]) for one in (low, high)]
    assert label_attitudes(user, dialogues, [0, 0]) == pytest.approx(expected)
    # A member that has to speak makes all of them speak.
    speaking = EnsembleUser([RuleBasedUser(), ScriptedUser(felt(5))], quantile)
    (first, _) = label_attitudes(speaking, dialogues, [0, 0])
    assert first == speaking.reply(dialogues, [0, 0])[0].turn.attitude

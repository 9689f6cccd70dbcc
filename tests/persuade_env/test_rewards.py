import pytest

from persuade_env.dialogue import Decision, Dialogue, PersuaderTurn
from persuade_env.errors import UnknownNameError
from persuade_env.rewards import Reward, Transition, default_reward
from tests.helpers import felt, scenario


def transition(before: float, after: float, decision=Decision.CONTINUE, malformed=False):
    start = Dialogue(scenario=scenario(initial_attitude=before))
    said = start.extended(PersuaderTurn(response="one two three four"))
    return Transition(start, said.extended(felt(after, decision)), malformed)


def test_the_default_is_the_gain_in_likert_points_plus_half_the_outcome():
    reward = default_reward()
    assert reward.terms(transition(3, 4.5)) == {"attitude_gain": 1.5, "outcome": 0.0}
    assert reward.terms(transition(5, 6, Decision.ACCEPT))["outcome"] == 0.5
    assert reward.terms(transition(2, 1, Decision.REFUSE)) == {
        "attitude_gain": pytest.approx(-1.0),
        "outcome": -0.5,
    }


def test_nobody_changes_the_default_for_others():
    with pytest.raises(TypeError):
        default_reward().weights["outcome"] = 3.0


def test_terms_are_weighted_one_by_one():
    reward = Reward({"words": 2.0, "malformed": 0.5})
    assert reward.terms(transition(3, 3, malformed=True)) == {"words": -0.08, "malformed": -0.5}


def test_an_unknown_term_lists_what_exists():
    with pytest.raises(
        UnknownNameError, match=r"attitude_gain, conduct, malformed, outcome, words"
    ):
        Reward({"charm": 1.0})

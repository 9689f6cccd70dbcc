"""The judge of outcomes and attitudes, and order-consistent scores."""

from persuade_env.dialogue import Decision, Dialogue, PersuaderTurn
from persuade_env.judges.attitude import AttitudeJudge, scores
from persuade_env.protocols import Verdict
from tests.helpers import felt, scenario


def ended(attitude, decision=Decision.CONTINUE):
    opened = Dialogue(scenario=scenario()).extended(PersuaderTurn(response="Hi."))
    return opened.extended(felt(attitude, decision))


def test_outcome_counts_before_attitude():
    judge = AttitudeJudge()
    accepted, liked = ended(5.6, Decision.ACCEPT), ended(6.4)
    refused, cold = ended(2.5, Decision.REFUSE), ended(1.0)
    assert judge.compare([(accepted, liked), (refused, cold)]) == [Verdict.FIRST, Verdict.SECOND]


def test_close_attitudes_are_a_tie():
    assert scores(AttitudeJudge(0.2), [(ended(4.0), ended(4.1)), (ended(4.0), ended(4.3))]) == [
        0.0,
        -1.0,
    ]


def test_a_judge_that_prefers_the_first_place_says_nothing():
    class Biased:
        def compare(self, pairs):
            return [Verdict.FIRST] * len(pairs)

    assert scores(Biased(), [(ended(2), ended(6))]) == [0.0]

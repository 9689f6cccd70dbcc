"""Users of known symmetry have the asymmetry that they should have."""

import pytest

from experiments.fidelity.probes.negation import (
    negated_goal,
    negated_scenario,
    negation_pairs,
    worsening_scripts,
)
from experiments.fidelity.probes.scripted import Script
from persuade_env.dialogue import Decision
from persuade_env.errors import UserModelError
from persuade_env.protocols import UserReply
from persuade_env.scenarios import load_corpus
from tests.helpers import felt, scenario

SETTLING = ("lending a tent and a sleeping bag", "a neighbour feeding and walking the dog")
WORDS = Script(scenario(), SETTLING)


class Rule:
    """Moves by `settled` at words that settle a concern, by `worsened` at those that worsen one."""

    def __init__(self, settled, worsened, decision=Decision.CONTINUE):
        self.settled, self.worsened, self.decision = settled, worsened, decision

    def reply(self, dialogues, seeds):
        return [self.answer(dialogue) for dialogue in dialogues]

    def answer(self, dialogue):
        response = dialogue.turns[-1].response
        concerns = dialogue.scenario.persona.concerns
        step = 0.0
        if any(concern.settled_by in response for concern in concerns):
            step = self.settled
        elif any(concern.worsened_by in response for concern in concerns):
            step = self.worsened
        attitude = min(7.0, max(1.0, dialogue.attitude + step))
        return UserReply(turn=felt(attitude, self.decision))


@pytest.mark.parametrize(
    ("goal", "negation"),
    [
        ("persuade Bo to come camping", "persuade Bo not to come camping"),
        ("persuade Bo not to come", "persuade Bo to come"),
        ("persuade Bo to stop and not to talk", "persuade Bo not to stop and not to talk"),
        ("a donation", "the opposite of this: a donation"),
    ],
)
def test_a_goal_is_negated(goal, negation):
    assert negated_goal(goal) == negation


def test_every_goal_of_the_corpus_has_a_negation_that_leads_back():
    for split in ("train", "validation", "test"):
        for record in load_corpus(split):
            negation = negated_goal(record.goal)
            assert negation.startswith(f"persuade {record.persuadee} not to ") or (
                record.goal.startswith(f"persuade {record.persuadee} not to ")
            )
            assert negated_goal(negation) == record.goal


def test_a_scenario_is_negated():
    negated = negated_scenario(scenario(initial_attitude=2.5))
    assert negated.persona.initial_attitude == 5.5
    assert [concern.worsened_by for concern in negated.persona.concerns] == list(SETTLING)
    assert negated_scenario(negated) == scenario(initial_attitude=2.5)


def test_a_symmetrical_user_has_no_asymmetry_wherever_it_starts():
    for start in (2.0, 6.0):
        script = Script(scenario(initial_attitude=start), SETTLING)
        (pair,) = negation_pairs(Rule(0.8, -0.8), [script], seed=0)
        assert (pair.gain, pair.negated_gain) == pytest.approx((1.6, -1.6))
        assert pair.asymmetry == pytest.approx(0.0)


def test_a_user_who_gains_more_than_it_loses_is_biased():
    (pair,) = negation_pairs(Rule(0.8, -0.2), [WORDS], seed=0)
    assert pair.bias == pytest.approx((1.6 - 0.4) / 6)
    (against,) = negation_pairs(Rule(0.2, -0.8), worsening_scripts([WORDS]), seed=0)
    assert (against.gain, against.negated_gain) == pytest.approx((-1.6, 0.4))
    assert against.asymmetry == pytest.approx(0.2)
    assert against.bias < 0


def test_the_end_of_the_scale_does_not_hide_a_bias():
    (pair,) = negation_pairs(Rule(2.0, -1.5), [WORDS], seed=0)
    assert (pair.gain, pair.negated_gain) == (2.0, -1.5)
    (at_once,) = negation_pairs(Rule(9.0, -9.0), [WORDS], seed=0)
    assert (at_once.gain, at_once.negated_gain) == (3.0, -3.0)


def test_decisions_shorten_neither_side():
    (pair,) = negation_pairs(Rule(0.5, -0.5, Decision.REFUSE), [WORDS], seed=0)
    assert pair.gain == 1.0


def test_a_failure_on_one_side_leaves_the_scenario_out():
    class FailsAtTheNegation(Rule):
        def answer(self, dialogue):
            if "not to" in dialogue.scenario.goal:
                return UserReply(error=UserModelError("no"))
            return super().answer(dialogue)

    assert negation_pairs(FailsAtTheNegation(1.0, -1.0), [WORDS], seed=0) == []

"""A mind whose symmetry is known is told apart from one that likes whoever asks."""

import pytest

from experiments.fidelity.probes.negation import (
    mirrored,
    negated,
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


class Moved:
    """Moves by `settled` at words that settle a concern, by `worsened` at those that worsen one."""

    def __init__(self, settled, worsened, decision=Decision.CONTINUE):
        self.settled, self.worsened, self.decision = settled, worsened, decision

    def reply(self, dialogues, seeds):
        return [self.answer(one) for one in dialogues]

    def answer(self, dialogue):
        said = dialogue.turns[-1].response
        concerns = dialogue.scenario.persona.concerns
        step = 0.0
        if any(one.settled_by in said for one in concerns):
            step = self.settled
        elif any(one.worsened_by in said for one in concerns):
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
    assert negated(goal) == negation


def test_every_goal_of_the_corpus_has_a_negation_that_leads_back():
    for split in ("train", "validation", "test"):
        for record in load_corpus(split):
            negation = negated(record.goal)
            assert negation.startswith(f"persuade {record.persuadee} not to ") or (
                record.goal.startswith(f"persuade {record.persuadee} not to ")
            )
            assert negated(negation) == record.goal


def test_a_mind_is_turned_round():
    turned = mirrored(scenario(initial_attitude=2.5))
    assert turned.persona.initial_attitude == 5.5
    assert [one.worsened_by for one in turned.persona.concerns] == list(SETTLING)
    assert mirrored(turned) == scenario(initial_attitude=2.5)


def test_a_symmetrical_mind_is_a_perfect_mirror_wherever_it_starts():
    for start in (2.0, 6.0):
        script = Script(scenario(initial_attitude=start), SETTLING)
        (found,) = negation_pairs(Moved(0.8, -0.8), [script], seed=0)
        assert (found.gain, found.mirrored) == pytest.approx((1.6, -1.6))
        assert found.asymmetry == pytest.approx(0.0)


def test_a_mind_that_gives_more_than_it_takes_leans():
    (found,) = negation_pairs(Moved(0.8, -0.2), [WORDS], seed=0)
    assert found.bias == pytest.approx((1.6 - 0.4) / 6)
    (train_user,) = negation_pairs(Moved(0.2, -0.8), worsening_scripts([WORDS]), seed=0)
    assert (train_user.gain, train_user.mirrored) == pytest.approx((-1.6, 0.4))
    assert train_user.asymmetry == pytest.approx(0.2)
    assert train_user.bias < 0


def test_the_end_of_the_scale_does_not_hide_a_lean():
    (found,) = negation_pairs(Moved(2.0, -1.5), [WORDS], seed=0)
    assert (found.gain, found.mirrored) == (2.0, -1.5)
    (at_once,) = negation_pairs(Moved(9.0, -9.0), [WORDS], seed=0)
    assert (at_once.gain, at_once.mirrored) == (3.0, -3.0)


def test_decisions_shorten_neither_side():
    (found,) = negation_pairs(Moved(0.5, -0.5, Decision.REFUSE), [WORDS], seed=0)
    assert found.gain == 1.0


def test_a_failure_on_one_side_leaves_the_scenario_out():
    class Half(Moved):
        def answer(self, dialogue):
            if "not to" in dialogue.scenario.goal:
                return UserReply(error=UserModelError("no"))
            return super().answer(dialogue)

    assert negation_pairs(Half(1.0, -1.0), [WORDS], seed=0) == []

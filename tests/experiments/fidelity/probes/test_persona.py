"""Personas are changed in one respect, and changes of outcomes are found."""

from experiments.fidelity.probes.persona import (
    OTHER_SEEDS,
    TRAITS,
    outcome_score,
    trait_flips,
    with_foreign_concerns,
    with_foreign_main_concern,
    with_trait,
)
from experiments.fidelity.probes.scripted import Gain, Script
from persuade_env.dialogue import Concern, Decision, Outcome
from persuade_env.protocols import UserReply
from persuade_env.text.embedding import Embedder
from tests.helpers import DOG, TENT, felt, scenario

BOAT = Concern(
    id="dog", text="I get seasick.", settled_by="pills", worsened_by="saying that it is nothing"
)
FIRST = Script(scenario(), ("My neighbour will feed and walk your dog.",))
SECOND = Script(scenario("leisure-902", concerns=(BOAT,)), ("These pills help.",))


class Trusting:
    """Accepts when `trait` is among its traits; otherwise by the seed, if at all."""

    def __init__(self, trait, by_seed=False):
        self.trait, self.by_seed = trait, by_seed

    def reply(self, dialogues, seeds):
        return [self.answer(*pair) for pair in zip(dialogues, seeds, strict=True)]

    def answer(self, dialogue, seed):
        accepts = self.trait in dialogue.scenario.persona.traits or (self.by_seed and seed % 2)
        return UserReply(turn=felt(6.0, Decision.ACCEPT if accepts else Decision.CONTINUE))


def test_the_concern_that_is_addressed_is_the_one_replaced():
    changed, _ = with_foreign_main_concern([FIRST, SECOND], Embedder())
    tent, boat = changed.scenario.persona.concerns
    assert tent == TENT
    assert boat.settled_by == "pills"
    assert boat.id not in (TENT.id, DOG.id)  # the foreign id may be taken
    assert changed.responses == FIRST.responses


def test_foreign_concerns_leave_the_rest_of_a_persona_alone():
    changed, _ = with_foreign_concerns([FIRST, SECOND])
    before, after = FIRST.scenario.persona, changed.scenario.persona
    assert after.concerns == (BOAT,)
    assert after.model_copy(update={"concerns": before.concerns}) == before


def test_one_trait_is_replaced():
    (changed,) = with_trait([FIRST], "gloomy")
    assert changed.scenario.persona.traits == ("gloomy",)
    assert FIRST.scenario.persona.traits == ("calm",)


def test_the_trait_that_decides_is_found():
    flips = trait_flips(Trusting("gullible"), [FIRST, SECOND], seed=0)
    assert {flip.trait for flip in flips if flip.flipped} == {"gullible"}
    assert sum(flip.flipped for flip in flips) == 2
    assert len(flips) == 2 * (len(TRAITS) + OTHER_SEEDS)


def test_changes_by_another_seed_are_separate_from_those_by_traits():
    scripts = [Script(scenario(f"leisure-{number}"), FIRST.responses) for number in range(901, 931)]
    flips = trait_flips(Trusting("nobody", by_seed=True), scripts, seed=0)
    assert not any(flip.flipped for flip in flips if flip.trait)
    by_seed = [flip.flipped for flip in flips if flip.trait is None]
    assert 0.3 < sum(by_seed) / len(by_seed) < 0.7


def test_outcomes_have_an_order_and_failures_none():
    gains = [Gain("a", 1.0, outcome) for outcome in Outcome]
    assert sorted(map(outcome_score, gains)) == [-1.0, 0.0, 1.0]
    assert outcome_score(Gain("a", 1.0, Outcome.ACCEPTED)) == 1.0
    assert outcome_score(Gain("a", None)) is None

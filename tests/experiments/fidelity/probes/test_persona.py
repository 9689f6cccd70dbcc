"""Another persona in the same scenario: what is changed, and what is found out by it."""

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
        return [self.answer(*one) for one in zip(dialogues, seeds, strict=True)]

    def answer(self, dialogue, seed):
        accepts = self.trait in dialogue.scenario.persona.traits or (self.by_seed and seed % 2)
        return UserReply(turn=felt(6.0, Decision.ACCEPT if accepts else Decision.CONTINUE))


def test_the_concern_that_is_spoken_to_is_the_one_replaced():
    changed, _ = with_foreign_main_concern([FIRST, SECOND], Embedder())
    tent, boat = changed.scenario.persona.concerns
    assert tent == TENT
    assert boat.settled_by == "pills"
    assert boat.id not in (TENT.id, DOG.id)  # the foreign id may be taken
    assert changed.responses == FIRST.responses


def test_foreign_concerns_leave_the_rest_of_a_person_alone():
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
    assert {one.trait for one in flips if one.flipped} == {"gullible"}
    assert sum(one.flipped for one in flips) == 2
    assert len(flips) == 2 * (len(TRAITS) + OTHER_SEEDS)


def test_what_another_seed_changes_is_told_apart_from_traits():
    scripts = [Script(scenario(f"leisure-{number}"), FIRST.responses) for number in range(901, 931)]
    flips = trait_flips(Trusting("nobody", by_seed=True), scripts, seed=0)
    assert not any(one.flipped for one in flips if one.trait)
    noise = [one.flipped for one in flips if one.trait is None]
    assert 0.3 < sum(noise) / len(noise) < 0.7


def test_outcomes_have_an_order_and_failures_none():
    ends = [Gain("a", 1.0, outcome) for outcome in Outcome]
    assert sorted(map(outcome_score, ends)) == [-1.0, 0.0, 1.0]
    assert outcome_score(Gain("a", 1.0, Outcome.ACCEPTED)) == 1.0
    assert outcome_score(Gain("a", None)) is None

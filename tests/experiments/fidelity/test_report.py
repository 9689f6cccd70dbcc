"""The report passes users that are known to be sound, and fails those known not to be."""

import json

import pytest

from experiments.common.measures import measures_markdown, measures_table, write_measures
from experiments.fidelity.attitude_measures import N_INJECTION_SCENARIOS
from experiments.fidelity.report import fidelity_report
from persuade_env.dialogue import Decision, PersuadeeTurn
from persuade_env.errors import RunError, UserModelError
from persuade_env.protocols import UserReply
from persuade_env.scenarios import load_corpus
from user_models.rule_based import RuleBasedUser

RECORDS = load_corpus("validation")[:9]
PERMUTED = "own turns, words permuted"
SHARE = "share of competent turns' gain"


class Rule:
    """A user whose attitude is a rule of the last response and the attitude before."""

    def reply(self, dialogues, seeds):
        return [self.answer(dialogue) for dialogue in dialogues]

    def answer(self, dialogue):
        attitude = self.attitude(dialogue)
        return UserReply(turn=PersuadeeTurn(attitude=min(7.0, max(1.0, attitude)), response="Hm."))


class Gullible(Rule):
    def attitude(self, dialogue):
        return dialogue.attitude + 0.5


class Obedient(RuleBasedUser):
    """Sound, except to those who know its state's format."""

    def reply(self, dialogues, seeds):
        replies = super().reply(dialogues, seeds)
        return [
            UserReply(turn=PersuadeeTurn(attitude=7.0, response="Yes."))
            if "7 accept" in dialogue.turns[-1].response
            else reply
            for dialogue, reply in zip(dialogues, replies, strict=True)
        ]


class Credulous(RuleBasedUser):
    """Sound, except with one trait."""

    def reply(self, dialogues, seeds):
        return [
            UserReply(turn=PersuadeeTurn(attitude=7.0, response="Yes.", decision=Decision.ACCEPT))
            if "agrees with everybody" in dialogue.scenario.persona.traits
            else reply
            for dialogue, reply in zip(dialogues, super().reply(dialogues, seeds), strict=True)
        ]


class Fragile(RuleBasedUser):
    """Sound, except for control characters."""

    def reply(self, dialogues, seeds):
        return [
            UserReply(error=UserModelError("unreadable"))
            if "\x00" in dialogue.turns[-1].response
            else reply
            for dialogue, reply in zip(dialogues, super().reply(dialogues, seeds), strict=True)
        ]


class Remembering(Rule):
    """Answers as the person did, where the dialogue is a recorded one."""

    def __init__(self):
        self.known = {}
        for record in RECORDS:
            for recorded in record.dialogues:
                for index in range(1, len(recorded.turns), 2):
                    responses = tuple(turn.response for turn in recorded.turns[:index])
                    self.known[record.id, responses] = recorded.turns[index]

    def answer(self, dialogue):
        responses = tuple(turn.response for turn in dialogue.turns)
        known = self.known.get((dialogue.scenario.id, responses))
        return UserReply(turn=known or PersuadeeTurn(attitude=3.0, response="Hm."))


class Broken(Rule):
    def answer(self, dialogue):
        return UserReply(error=UserModelError("no answer"))


def report(user_model):
    measures = fidelity_report(user_model, RECORDS, seed=1)
    return {(measure.test, measure.measure): measure for measure in measures}


@pytest.fixture(scope="module")
def sound():
    return report(RuleBasedUser())


def failed(measures, test):
    return [
        name
        for (kind, name), measure in measures.items()
        if kind == test and measure.passed is False
    ]


def test_the_rule_based_user_passes_the_tests_of_its_rules(sound):
    for test in ("controls", "dose", "persona", "traits", "attacks"):
        assert [name for name in failed(sound, test) if not name.startswith(PERMUTED)] == []
        assert any(kind == test and measure.passed for (kind, _), measure in sound.items())


def test_the_rule_based_user_gains_by_words_in_any_order(sound):
    """Its embeddings are means over words."""
    share = sound["controls", f"{PERMUTED}: {SHARE}"]
    assert share.passed is False
    assert share.estimate.value > 0.5


def test_a_negative_share_does_not_pass():
    """Where competent turns lose and nonsense gains, the share is below the limit."""

    class Contrary(Rule):
        def attitude(self, dialogue):
            known = {t.response for record in RECORDS for d in record.dialogues for t in d.turns}
            return dialogue.attitude + (-0.2 if dialogue.turns[-1].response in known else 0.4)

    share = report(Contrary())["controls", f"{PERMUTED}: {SHARE}"]
    assert share.estimate.value < 0
    assert share.passed is False


def test_fluent_nonsense_is_tried_where_it_is_known():
    (share,) = [
        measure
        for measure in fidelity_report(Gullible(), load_corpus("test")[:4], seed=1)
        if measure.measure == f"fluent nonsense: {SHARE}"
    ]
    assert share.passed is False
    assert share.estimate.value == pytest.approx(1.0)
    assert share.n == 4


def test_gains_are_ordered_by_dose(sound):
    none, half, every = (
        sound["dose", f"gain, {name} of the concerns answered"].estimate.value
        for name in ("none", "half", "all")
    )
    assert none < half < every


def test_a_user_who_agrees_with_everybody_fails_every_control():
    gullible = report(Gullible())
    assert len(failed(gullible, "controls")) == 9
    assert len(failed(gullible, "dose")) == 3
    assert len(failed(gullible, "mirror")) == 2
    assert failed(gullible, "persona")
    excess = gullible["controls", "flattering: excess gain"].estimate
    assert excess.value == pytest.approx(0.0, abs=0.3)
    bias = gullible["mirror", "what worsens: lean, 0–1"].estimate
    turns = [len(record.persona.concerns) for record in RECORDS]
    assert bias.value == pytest.approx(sum(turns) / len(turns) / 6)  # half a point on each side


def test_a_user_who_obeys_a_forged_state_fails(sound):
    obedient = report(Obedient())
    over = obedient["attacks", "attacks that move more than noise"]
    assert over.passed is False
    assert 15 <= over.estimate.value <= 40
    assert failed(obedient, "controls") == failed(sound, "controls")


def test_a_trait_that_decides_alone_fails():
    credulous = report(Credulous())
    assert credulous["traits", "worst trait over seed"].passed is False
    assert credulous["traits", "outcomes changed by another seed"].estimate.value < 0.3


def test_a_parser_that_breaks_fails():
    fragile = report(Fragile())
    without_reply = fragile["attacks", "attacks without a reply"]
    assert without_reply.passed is False
    assert without_reply.estimate.value == 2 * N_INJECTION_SCENARIOS


def test_scripted_dialogues_keep_to_their_limit():
    replies = {"all": 0, "two": 0}
    for name, limit in (("all", len(RECORDS)), ("two", 2)):

        def count(test, number, name=name):
            replies[name] += number if test == "controls" else 0

        measures = fidelity_report(RuleBasedUser(), RECORDS, limit=limit, progress=count)
        (gain,) = (m for m in measures if m.measure == "gain of competent turns")
        assert gain.n == limit
    assert replies["two"] < replies["all"] / 3


def test_a_user_who_remembers_is_perfect_on_recorded_turns():
    perfect = report(Remembering())
    assert perfect["recorded", "correlation of steps"].estimate.value == pytest.approx(1.0)
    assert perfect["ends", "F1 of end turn and kind"].estimate.value == pytest.approx(1.0)
    assert perfect["ends", "refuse: simulated over recorded"].estimate.value == pytest.approx(1.0)
    same = [perfect["recorded", f"step, poor, {who}"].estimate.value for who in ("model", "people")]
    assert same[0] == same[1]


def test_a_user_who_never_answers_is_an_error():
    with pytest.raises(RunError, match="failed at"):
        report(Broken())


def test_scenarios_without_personas_are_refused():
    bare = [record.model_copy(update={"persona": None}) for record in RECORDS]
    with pytest.raises(RunError, match="0 of 9 have them"):
        fidelity_report(RuleBasedUser(), bare)


def test_the_report_is_written_and_rendered(sound, tmp_path):
    measures = list(sound.values())
    write_measures(measures, tmp_path, {"user_model": "concerns"})
    written = json.loads((tmp_path / "card.json").read_text())
    assert len(written["measures"]) == len(measures)
    assert (tmp_path / "card.png").stat().st_size > 5000
    text = measures_markdown(measures)
    assert text == (tmp_path / "card.md").read_text()
    assert len(text.splitlines()) == len(measures) + 2
    assert measures_table(measures, "x").row_count == len(measures)

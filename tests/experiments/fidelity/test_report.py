"""The card passes users whose minds are known to be sound, and fails those known not to be."""

import json

import numpy as np
import pytest

from experiments.common.bootstrap import clustered_statistic
from experiments.common.measures import measures_markdown, measures_table, write_measures
from experiments.fidelity.attitude_measures import ATTACKED, SAME, _noise
from experiments.fidelity.probes.injection import AppendedText
from experiments.fidelity.report import fidelity_report
from persuade_env.dialogue import Decision, PersuadeeTurn
from persuade_env.errors import RunError, UserModelError
from persuade_env.protocols import UserReply
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import generator
from user_models.rule_based import ConcernsUser

RECORDS = load_corpus("validation")[:9]
PERMUTED = "own turns, words permuted"
SHARE = "share of competent turns' gain"


class Scripted:
    """A user whose attitude is a rule of the last response and the attitude before."""

    def reply(self, dialogues, seeds):
        return [self.answer(dialogue) for dialogue in dialogues]

    def answer(self, dialogue):
        attitude = self.feel(dialogue)
        return UserReply(turn=PersuadeeTurn(attitude=min(7.0, max(1.0, attitude)), response="Hm."))


class Gullible(Scripted):
    def feel(self, dialogue):
        return dialogue.attitude + 0.5


class Obedient(ConcernsUser):
    """Sound, but for those who know its state's format."""

    def reply(self, dialogues, seeds):
        replies = super().reply(dialogues, seeds)
        return [
            UserReply(turn=PersuadeeTurn(attitude=7.0, response="Yes."))
            if "7 accept" in dialogue.turns[-1].response
            else reply
            for dialogue, reply in zip(dialogues, replies, strict=True)
        ]


class Credulous(ConcernsUser):
    """Sound, but for one trait."""

    def reply(self, dialogues, seeds):
        return [
            UserReply(turn=PersuadeeTurn(attitude=7.0, response="Yes.", decision=Decision.ACCEPT))
            if "agrees with everybody" in dialogue.scenario.persona.traits
            else reply
            for dialogue, reply in zip(dialogues, super().reply(dialogues, seeds), strict=True)
        ]


class Fragile(ConcernsUser):
    """Sound, but for control characters."""

    def reply(self, dialogues, seeds):
        return [
            UserReply(error=UserModelError("unreadable"))
            if "\x00" in dialogue.turns[-1].response
            else reply
            for dialogue, reply in zip(dialogues, super().reply(dialogues, seeds), strict=True)
        ]


class Remembering(Scripted):
    """Answers as the person did, where the dialogue is a recorded one."""

    def __init__(self):
        self.known = {}
        for record in RECORDS:
            for recorded in record.dialogues:
                for place in range(1, len(recorded.turns), 2):
                    said = tuple(turn.response for turn in recorded.turns[:place])
                    self.known[record.id, said] = recorded.turns[place]

    def answer(self, dialogue):
        said = tuple(turn.response for turn in dialogue.turns)
        known = self.known.get((dialogue.scenario.id, said))
        return UserReply(turn=known or PersuadeeTurn(attitude=3.0, response="Hm."))


class Broken(Scripted):
    def answer(self, dialogue):
        return UserReply(error=UserModelError("no answer"))


def report(user_model):
    return {(one.test, one.measure): one for one in fidelity_report(user_model, RECORDS, seed=1)}


@pytest.fixture(scope="module")
def sound():
    return report(ConcernsUser())


def failed(measures, test):
    return [name for (kind, name), one in measures.items() if kind == test and one.passed is False]


def test_explicit_concerns_pass_what_they_were_made_for(sound):
    for test in ("controls", "dose", "persona", "traits", "attacks"):
        assert [one for one in failed(sound, test) if not one.startswith(PERMUTED)] == []
        assert any(kind == test and one.passed for (kind, _), one in sound.items())


def test_who_counts_words_is_paid_with_them_in_any_order(sound):
    """What `concerns` does: its embeddings are means over words."""
    paid = sound["controls", f"{PERMUTED}: {SHARE}"]
    assert paid.passed is False
    assert paid.estimate.value > 0.5


def test_who_is_paid_for_nothing_but_nonsense_does_not_pass_for_it():
    """A share of less than nothing is small, too."""

    class Contrary(Scripted):
        def feel(self, dialogue):
            known = {t.response for record in RECORDS for d in record.dialogues for t in d.turns}
            return dialogue.attitude + (-0.2 if dialogue.turns[-1].response in known else 0.4)

    share = report(Contrary())["controls", f"{PERMUTED}: {SHARE}"]
    assert share.estimate.value < 0
    assert share.passed is False


def test_fluent_nonsense_is_tried_where_it_is_known():
    found = [
        one
        for one in fidelity_report(Gullible(), load_corpus("test")[:4], seed=1)
        if one.measure == f"fluent nonsense: {SHARE}"
    ]
    assert [one.passed for one in found] == [False]
    assert found[0].estimate.value == pytest.approx(1.0)
    assert found[0].n == 4


def test_the_doses_are_ordered(sound):
    none, half, every = (
        sound["dose", f"gain, {name} of the concerns answered"].estimate.value
        for name in ("none", "half", "all")
    )
    assert none < half < every


def test_a_user_who_likes_everybody_fails_every_control():
    gullible = report(Gullible())
    assert len(failed(gullible, "controls")) == 9
    assert len(failed(gullible, "dose")) == 3
    assert len(failed(gullible, "mirror")) == 2
    assert failed(gullible, "persona")
    excess = gullible["controls", "flattering: excess gain"].estimate
    assert excess.value == pytest.approx(0.0, abs=0.3)
    mirror = gullible["mirror", "what worsens: lean, 0–1"].estimate
    turns = [len(record.persona.concerns) for record in RECORDS]
    assert mirror.value == pytest.approx(sum(turns) / len(turns) / 6)  # half a point on each side


def test_a_user_who_obeys_a_forged_state_is_found_out(sound):
    obedient = report(Obedient())
    over = obedient["attacks", "attacks that move more than noise"]
    assert over.passed is False
    assert 15 <= over.estimate.value <= 40
    assert failed(obedient, "controls") == failed(sound, "controls")


def test_a_trait_that_decides_is_found_out():
    credulous = report(Credulous())
    assert credulous["traits", "worst trait over seed"].passed is False
    assert credulous["traits", "outcomes changed by another seed"].estimate.value < 0.3


def test_a_parser_that_breaks_is_found_out():
    fragile = report(Fragile())
    lost = fragile["attacks", "attacks without a reply"]
    assert lost.passed is False
    assert lost.estimate.value == 2 * ATTACKED


def test_noise_is_at_least_what_harmless_sentences_did():
    def said(*rises):
        return [AppendedText("", one, 1, 0) for one in rises]

    assert _noise(said(0.0, 0.0, 0.0), 69) == SAME
    assert _noise(said(0.0, None, 0.4), 1) >= 0.4
    rng = np.random.default_rng(0)
    below = 0
    for _ in range(300):
        harmless, further = rng.normal(0.2, 0.5, 20), rng.normal(0.2, 0.5, 60)
        below += further.max() <= _noise(said(*harmless), 60)
    assert 0.93 <= below / 300 <= 1.0


def test_probes_of_the_mind_keep_to_their_limit():
    asked = {"all": 0, "two": 0}
    for name, limit in (("all", len(RECORDS)), ("two", 2)):

        def count(test, number, name=name):
            asked[name] += number if test == "controls" else 0

        found = fidelity_report(ConcernsUser(), RECORDS, limit=limit, progress=count)
        (gain,) = (one for one in found if one.measure == "gain of competent turns")
        assert gain.n == limit
    assert asked["two"] < asked["all"] / 3


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
        fidelity_report(ConcernsUser(), bare)


def test_the_card_is_written_and_shown(sound, tmp_path):
    measures = list(sound.values())
    write_measures(measures, tmp_path, {"user_model": "concerns"})
    written = json.loads((tmp_path / "card.json").read_text())
    assert len(written["measures"]) == len(measures)
    assert (tmp_path / "card.png").stat().st_size > 5000
    text = measures_markdown(measures)
    assert text == (tmp_path / "card.md").read_text()
    assert len(text.splitlines()) == len(measures) + 2
    assert measures_table(measures, "x").row_count == len(measures)


def test_a_clustered_statistic_covers_the_truth():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(60):
        effects = rng.normal(size=20)
        values = np.repeat(effects, 3) + rng.normal(scale=0.3, size=60)
        found = clustered_statistic(
            lambda rows, values=values: float(np.median(values[rows])),
            [str(k) for k in np.repeat(np.arange(20), 3)],
            generator(trial),
        )
        covered += found.low <= 0.0 <= found.high
    assert 50 <= covered <= 60
    alone = clustered_statistic(lambda rows: 1.0, ["a", "a"], generator(0))
    assert alone.value == 1.0
    assert np.isnan(alone.low)

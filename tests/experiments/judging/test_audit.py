"""The audit passes judges known to be sound, and fails those known not to be."""

import json

import pytest
from typer.testing import CliRunner

from experiments.cli.main import app
from experiments.common.measures import measures_table, write_measures
from experiments.judging.audit import PLOTTED, audit, judge_card, padded
from experiments.judging.ground_truth import COMPARED, known_pairs
from persuade_env.dialogue import Dialogue
from persuade_env.errors import RunError
from persuade_env.judges.attitude import AttitudeJudge
from persuade_env.protocols import Verdict
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import generator
from tests.helpers import felt, scenario, spoken

RECORDS = load_corpus("validation")


def words(dialogue):
    return sum(len(turn.response.split()) for turn in dialogue.persuader_turns)


class Rule:
    """A judge that prefers what a rule gives more."""

    def compare(self, pairs):
        return [self.verdict(*pair) for pair in pairs]

    def verdict(self, first, second):
        a, b = self.worth(first), self.worth(second)
        return Verdict.TIE if a == b else Verdict.FIRST if a > b else Verdict.SECOND


class LikesLength(Rule):
    def worth(self, dialogue):
        return words(dialogue)


class LikesBrevity(Rule):
    def worth(self, dialogue):
        return -words(dialogue) / max(1, len(dialogue.persuader_turns))


class Contrary(Rule):
    def worth(self, dialogue):
        return -dialogue.attitude


class First(Rule):
    def verdict(self, first, second):
        return Verdict.FIRST


class Coin(Rule):
    def __init__(self, seed=0):
        self.rng = generator(seed)

    def verdict(self, first, second):
        return Verdict.FIRST if self.rng.random() < 0.5 else Verdict.SECOND


class Silent(Rule):
    def verdict(self, first, second):
        return Verdict.FAILED


class Hesitant(AttitudeJudge):
    """Sound, but without an answer where the persuader said much."""

    def compare(self, pairs):
        verdicts = super().compare(pairs)
        return [
            Verdict.FAILED if words(first) > 110 else verdict
            for (first, _), verdict in zip(pairs, verdicts, strict=True)
        ]


def report(judge, **more):
    return {(one.test, one.measure): one for one in judge_card(judge, RECORDS, seed=1, **more)}


def missed(measures):
    return {test for (test, _), one in measures.items() if one.passed is False}


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    place = tmp_path_factory.mktemp("learned")
    return audit("learned", RECORDS, load_corpus(), place), place


def test_a_judge_that_knows_the_truth_passes():
    found = report(AttitudeJudge())
    assert missed(found) == set()
    assert found["order", "same verdict in both orders"].estimate.value == 1
    assert all(one.estimate.value == 1 for (test, _), one in found.items() if test == "concerns")


def test_a_judge_that_always_says_first_fails_the_order():
    found = report(First())
    assert found["order", "same verdict in both orders"].estimate.value == 0
    assert "order" in missed(found)
    assert "accuracy" in missed(found)  # both orders asked, it prefers nothing


def test_a_judge_that_loves_length_fails_the_padding_and_the_length_match():
    found = report(LikesLength())
    assert found["padding", "wins by one empty sentence a turn"].estimate.value == 1
    assert {"padding", "length"} <= missed(found)


def test_a_judge_that_loves_brevity_is_right_only_where_that_is_right():
    found = report(LikesBrevity())
    # The corpus' poor persuaders talk more: without a length match this judge would look good.
    assert found["accuracy", "competent over poor"].passed
    assert found["length", "right where padding gives the poor one fewer"].estimate.value == 0
    assert "length" in missed(found)


def test_a_coin_fails_the_flips():
    found = report(Coin(), repeats=[Coin(1), Coin(2)])
    assert 0.3 < found["repeat", "other verdict when asked again"].estimate.value < 0.7
    assert {"repeat", "order"} <= missed(found)
    # The same judge asked again, where no repeats are given: the coin has no memory either.
    assert "repeat" in missed(report(Coin()))


def test_a_contrary_judge_fails_wherever_the_truth_is_known():
    assert {"accuracy", "concerns"} <= missed(report(Contrary()))


def test_failures_are_counted_and_left_out():
    found = report(Hesitant())
    assert found["failures", "verdicts without a winner"].estimate.value > 0
    assert found["accuracy", "competent over poor"].estimate.value == 1
    with pytest.raises(RunError, match="failed at all"):
        judge_card(Silent(), RECORDS)


def test_scenarios_without_pairs_are_refused():
    with pytest.raises(RunError, match="at least two scenarios"):
        judge_card(AttitudeJudge(), [one.model_copy(update={"dialogues": ()}) for one in RECORDS])


def test_padding_leaves_the_rest_alone():
    dialogue = (
        Dialogue(scenario=scenario())
        .extended(spoken("Come along.").turn)
        .extended(felt(4, response="Why?"))
    )
    longer = padded(dialogue, 2)
    assert longer.turns[0].response.startswith("Come along. ")
    assert longer.turns[1:] == dialogue.turns[1:]
    assert padded(dialogue, 0) == dialogue


def test_the_truth_is_what_the_concerns_user_felt():
    pairs = known_pairs(RECORDS, 3)
    assert {pair.kind for pair in pairs} == set(COMPARED)
    for pair in pairs:
        assert pair.better.scenario.id == pair.worse.scenario.id == pair.scenario
    verdicts = AttitudeJudge().compare([(pair.better, pair.worse) for pair in pairs])
    assert set(verdicts) == {Verdict.FIRST}


def test_the_learned_judge_passes_its_audit_and_leaves_its_weights(learned):
    measures, place = learned
    named = {(one.test, one.measure): one for one in measures}
    assert missed(named) == set()
    assert named["unseen domains", "competent over poor"].estimate.low > 0.7
    assert named["padding", "wins by three empty sentences a turn"].estimate.value < 0.35
    assert (place / "judge.json").exists()


def test_the_card_is_written(learned, tmp_path):
    measures, _ = learned
    write_measures(measures, tmp_path, {"judge": "learned"}, plotted=PLOTTED, axis="share")
    stored = json.loads((tmp_path / "card.json").read_text())
    assert stored["judge"] == "learned"
    assert len(stored["measures"]) == len(measures)
    assert (tmp_path / "card.png").stat().st_size > 5000
    assert measures_table(measures, "card").row_count == len(measures)


def test_the_learned_judge_is_not_audited_on_what_it_was_fitted_to(tmp_path):
    with pytest.raises(RunError, match="at least two scenarios"):
        audit("learned", load_corpus("train"), load_corpus(), tmp_path)


def test_the_commands(tmp_path):
    run = CliRunner().invoke
    reports = tmp_path / "cards"
    audit = ["audit-judge", "--judge", "attitude", "--limit", "5", "--out", str(reports)]
    done = run(app, audit)
    assert done.exit_code == 0, done.output
    report = json.loads((reports / "attitude" / "card.json").read_text())
    assert (report["judge"], report["limit"]) == ("attitude", 5)
    competent = next(one for one in report["measures"] if one["measure"] == "competent over poor")
    assert competent["n"] == 5
    turns = ["benchmark", "--protocol", "turns", "--judge", "learned", "--agents", "naive"]
    for _ in range(2):  # the second time it is there already
        done = run(app, [*turns, "--out", str(tmp_path / "bench")])
        assert done.exit_code == 0, done.output
    stored = json.loads((tmp_path / "bench-turns/turns.json").read_text())
    assert stored["rows"][0]["metrics"]["win_rate"]["high"] < 0.3
    assert not (tmp_path / "bench").exists()

"""The audit passes judges known to be sound, and fails those known not to be."""

import json

import pytest
from typer.testing import CliRunner

from experiments.cli.main import app
from experiments.common.measures import measures_table, write_measures
from experiments.judging.audit import PLOTTED, audit, judge_report
from persuade_env.errors import RunError
from persuade_env.judges.attitude import AttitudeJudge
from persuade_env.protocols import Verdict
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import generator

RECORDS = load_corpus("validation")


def words(dialogue):
    return sum(len(turn.response.split()) for turn in dialogue.persuader_turns)


class Rule:
    """A judge that prefers the dialogue with the higher value."""

    def compare(self, pairs):
        return [self.verdict(*pair) for pair in pairs]

    def verdict(self, first, second):
        a, b = self.value(first), self.value(second)
        return Verdict.TIE if a == b else Verdict.FIRST if a > b else Verdict.SECOND


class PrefersLength(Rule):
    def value(self, dialogue):
        return words(dialogue)


class PrefersBrevity(Rule):
    def value(self, dialogue):
        return -words(dialogue) / max(1, len(dialogue.persuader_turns))


class Contrary(Rule):
    def value(self, dialogue):
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
    """Sound, except that it fails where the persuader has many words."""

    def compare(self, pairs):
        verdicts = super().compare(pairs)
        return [
            Verdict.FAILED if words(first) > 110 else verdict
            for (first, _), verdict in zip(pairs, verdicts, strict=True)
        ]


def report(judge, **more):
    measures = judge_report(judge, RECORDS, seed=1, **more)
    return {(measure.test, measure.measure): measure for measure in measures}


def failed_tests(measures):
    return {test for (test, _), measure in measures.items() if measure.passed is False}


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    return audit("learned", RECORDS, load_corpus(), folder), folder


def test_a_judge_that_knows_the_truth_passes():
    measures = report(AttitudeJudge())
    assert failed_tests(measures) == set()
    assert measures["order", "same verdict in both orders"].estimate.value == 1
    assert all(
        measure.estimate.value == 1 for (test, _), measure in measures.items() if test == "concerns"
    )


def test_a_judge_that_always_says_first_fails_the_order():
    measures = report(First())
    assert measures["order", "same verdict in both orders"].estimate.value == 0
    assert "order" in failed_tests(measures)
    assert "accuracy" in failed_tests(measures)  # over both orders it prefers neither


def test_a_judge_that_prefers_length_fails_padding_and_length():
    measures = report(PrefersLength())
    assert measures["padding", "wins by one empty sentence a turn"].estimate.value == 1
    assert {"padding", "length"} <= failed_tests(measures)


def test_a_judge_that_prefers_brevity_is_right_only_where_brevity_is():
    measures = report(PrefersBrevity())
    # The corpus's poor persuaders talk more: without the length test this judge would pass.
    assert measures["accuracy", "competent over poor"].passed
    assert measures["length", "right where padding gives the poor one fewer"].estimate.value == 0
    assert "length" in failed_tests(measures)


def test_a_coin_fails_the_flips():
    measures = report(Coin(), repeats=[Coin(1), Coin(2)])
    assert 0.3 < measures["repeat", "other verdict when asked again"].estimate.value < 0.7
    assert {"repeat", "order"} <= failed_tests(measures)
    # Without `repeats` the same judge is queried again.
    assert "repeat" in failed_tests(report(Coin()))


def test_a_contrary_judge_fails_wherever_the_truth_is_known():
    assert {"accuracy", "concerns"} <= failed_tests(report(Contrary()))


def test_failures_are_counted_and_left_out():
    measures = report(Hesitant())
    assert measures["failures", "verdicts without a winner"].estimate.value > 0
    assert measures["accuracy", "competent over poor"].estimate.value == 1
    with pytest.raises(RunError, match="failed at all"):
        judge_report(Silent(), RECORDS)


def test_scenarios_without_pairs_are_refused():
    with pytest.raises(RunError, match="at least two scenarios"):
        judge_report(
            AttitudeJudge(), [record.model_copy(update={"dialogues": ()}) for record in RECORDS]
        )


def test_the_learned_judge_passes_its_audit_and_leaves_its_weights(learned):
    measures, folder = learned
    named = {(measure.test, measure.measure): measure for measure in measures}
    assert failed_tests(named) == set()
    assert named["unseen domains", "competent over poor"].estimate.low > 0.7
    assert named["padding", "wins by three empty sentences a turn"].estimate.value < 0.35
    assert (folder / "judge.json").exists()


def test_the_report_is_written(learned, tmp_path):
    measures, _ = learned
    write_measures(measures, tmp_path, {"judge": "learned"}, plotted=PLOTTED, axis="share")
    stored = json.loads((tmp_path / "card.json").read_text())
    assert stored["judge"] == "learned"
    assert len(stored["measures"]) == len(measures)
    assert (tmp_path / "card.png").stat().st_size > 5000
    assert measures_table(measures, "judge").row_count == len(measures)


def test_the_learned_judge_is_not_audited_on_what_it_was_fitted_to(tmp_path):
    with pytest.raises(RunError, match="at least two scenarios"):
        audit("learned", load_corpus("train"), load_corpus(), tmp_path)


def test_the_commands(tmp_path):
    run = CliRunner().invoke
    reports = tmp_path / "reports"
    audit = ["audit-judge", "--judge", "attitude", "--limit", "5", "--out", str(reports)]
    done = run(app, audit)
    assert done.exit_code == 0, done.output
    report = json.loads((reports / "attitude" / "card.json").read_text())
    assert (report["judge"], report["limit"]) == ("attitude", 5)
    competent = next(row for row in report["measures"] if row["measure"] == "competent over poor")
    assert competent["n"] == 5
    turns = ["benchmark", "--protocol", "turns", "--judge", "learned", "--agents", "naive"]
    for _ in range(2):  # the second time the result exists already
        done = run(app, [*turns, "--out", str(tmp_path / "bench")])
        assert done.exit_code == 0, done.output
    stored = json.loads((tmp_path / "bench-turns/turns.json").read_text())
    assert stored["rows"][0]["metrics"]["win_rate"]["high"] < 0.3
    assert not (tmp_path / "bench").exists()

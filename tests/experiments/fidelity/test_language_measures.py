"""Measures of language on users of known quality."""

import json
import math

import numpy as np
import pytest

from experiments.common.measures import write_measures
from experiments.fidelity.language_measures import (
    jensen_shannon,
    noise_floor,
    realism,
    realism_measures,
)
from persuade_env.dialogue import (
    Decision,
    PersuadeeTurn,
    PersuaderTurn,
    RecordedDialogue,
    ScenarioRecord,
)
from persuade_env.errors import RunError
from persuade_env.protocols import UserReply
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import generator
from tests.helpers import FAILURE, scenario

RECORDS = load_corpus("validation")
KINDS = ("length", "tone", "acts", "steps")


class Remembering:
    """Answers as the person did."""

    def __init__(self, records):
        self.known = {
            (record.id, tuple(turn.response for turn in recorded.turns[:index])): (
                recorded.turns[index]
            )
            for record in records
            for recorded in record.dialogues
            for index in range(1, len(recorded.turns))
        }

    def reply(self, dialogues, seeds):
        return [
            UserReply(
                turn=self.known[
                    dialogue.scenario.id, tuple(turn.response for turn in dialogue.turns)
                ]
            )
            for dialogue in dialogues
        ]


class Agreeing:
    def reply(self, dialogues, seeds):
        turn = PersuadeeTurn(
            attitude=7.0, tone="warm", response="Yes, of course.", decision=Decision.ACCEPT
        )
        return [UserReply(turn=turn) for _ in dialogues]


class Broken:
    def reply(self, dialogues, seeds):
        return [UserReply(error=FAILURE) for _ in dialogues]


def measured(user_model, **options):
    measures = realism_measures(user_model, RECORDS, seed=1, **options)
    return {(measure.test, measure.measure): measure for measure in measures}


def test_a_user_who_copies_people_can_not_be_told_from_them():
    measures = measured(Remembering(RECORDS))
    assert all(measure.passed is not False for measure in measures.values())
    for kind in KINDS:
        distance = measures["turns", f"{kind}: JS distance"].estimate
        assert distance.value == pytest.approx(0.0, abs=1e-6)
        floor = measures["turns", f"{kind}: JS noise floor"].estimate
        assert 0 < floor.low < floor.value < floor.high < 1
    auc = measures["turns", "AUC, simulated or recorded"].estimate
    assert auc.value == pytest.approx(0.5, abs=0.01)


def test_a_user_who_always_agrees_fails():
    measures = measured(Agreeing())
    for kind in KINDS:
        assert measures["turns", f"{kind}: JS distance"].passed is False, kind
    auc = measures["turns", "AUC, simulated or recorded"]
    assert auc.estimate.value > 0.95
    assert auc.passed is False


def test_a_user_who_never_answers_is_an_error():
    with pytest.raises(RunError, match="failed at"):
        measured(Broken())


def test_a_user_without_likelihood_has_no_such_measure():
    assert {test for test, _ in measured(Agreeing())} == {"turns"}


def test_three_scenarios_are_too_few_for_thresholds():
    measures = realism_measures(Agreeing(), RECORDS[:3], seed=1)
    with_threshold = [measure.measure for measure in measures if measure.passed is not None]
    assert with_threshold == ["failed replies"]


def test_jensen_shannon_of_known_distributions():
    same = np.asarray([1, 2, 3])
    assert jensen_shannon(same, 10 * same) == pytest.approx(0.0, abs=1e-8)
    assert jensen_shannon(np.asarray([5, 0]), np.asarray([0, 9])) == pytest.approx(1.0)
    # (1, 0) and (1/2, 1/2) about their middle (3/4, 1/4), in closed form.
    expected = math.sqrt(0.5 * math.log2(1 / 0.75) + 0.5 * (0.5 * math.log2(0.5 / 0.75) + 0.5))
    assert jensen_shannon(np.asarray([4, 0]), np.asarray([2, 2])) == pytest.approx(expected)
    assert math.isnan(jensen_shannon(same, 0 * same))


def test_the_noise_floor_covers_samples_of_the_same_distribution_and_no_other():
    rng = np.random.default_rng(0)
    clusters = [f"s-{number // 5}" for number in range(300)]

    def counts(shares):
        return np.eye(4, dtype=int)[rng.choice(4, size=300, p=shares)]

    first, second = counts([0.4, 0.3, 0.2, 0.1]), counts([0.4, 0.3, 0.2, 0.1])
    other = counts([0.1, 0.2, 0.3, 0.4])
    floor = noise_floor(first, clusters, generator(0))
    assert jensen_shannon(first.sum(axis=0), second.sum(axis=0)) < floor.high
    assert jensen_shannon(first.sum(axis=0), other.sum(axis=0)) > 2 * floor.high


def people(n: int = 24) -> list[ScenarioRecord]:
    """People who give if their number is even, and say so."""
    return [
        ScenarioRecord(
            **scenario(f"p4g-{number}").model_dump(),
            dialogues=(
                RecordedDialogue(
                    id="dialog",
                    turns=(
                        PersuaderTurn(response=f"Give {number} cents."),
                        PersuadeeTurn(response="Gladly, here." if number % 2 == 0 else "Hm, no."),
                        PersuaderTurn(response="Bye."),
                    ),
                    outcome_label=number % 2 == 0,
                ),
            ),
        )
        for number in range(n)
    ]


class Attentive:
    """Derives its attitude from the person's last words, one turn late."""

    def reply(self, dialogues, seeds):
        replies = []
        for dialogue in dialogues:
            responses = [turn.response for turn in dialogue.persuadee_turns]
            attitude = 4.0 if not responses else 6.5 if "Gladly" in responses[-1] else 1.5
            replies.append(UserReply(turn=PersuadeeTurn(attitude=attitude, response="I see.")))
        return replies


def test_outcomes_are_measured_along_real_dialogues_and_written(tmp_path):
    tests = []
    section = realism(
        Attentive(),
        RECORDS[:4],
        seed=0,
        persuasion_for_good=people(),
        outcomes=20,
        progress=lambda test, count: tests.append(test),
    )
    measures = {(measure.test, measure.measure): measure for measure in section.measures}
    auc = measures["outcomes", "AUC of the last attitude"]
    assert auc.estimate.value == pytest.approx(1.0)
    assert auc.n == 20
    assert measures["turns, PersuasionForGood", "failed replies"].n == 24
    # These people's attitudes are not recorded, so there is no measure of their steps.
    assert ("turns, PersuasionForGood", "steps: JS distance") not in measures
    assert {"turns", "turns, PersuasionForGood", "outcomes"} == set(tests)

    write_measures(
        section.measures,
        tmp_path,
        {"user_model": "attentive"},
        histograms=section.histograms,
        reliability=section.reliability,
    )
    written = json.loads((tmp_path / "card.json").read_text())
    assert len(written["histograms"]) == len(section.histograms) == 6
    assert all(sum(row["recorded"]) == pytest.approx(1.0) for row in written["histograms"])
    assert sum(row["n"] for row in written["reliability"]) == 20
    assert all("said" in row for row in written["reliability"])  # the key of earlier versions
    assert (tmp_path / "realism.png").stat().st_size > 5000


def test_where_all_replies_fail_there_is_no_other_measure_of_outcomes():
    class FailsAtTheEnd:
        def reply(self, dialogues, seeds):
            return [
                UserReply(error=FAILURE) if len(dialogue.turns) == 3 else reply
                for dialogue, reply in zip(
                    dialogues, Attentive().reply(dialogues, seeds), strict=True
                )
            ]

    section = realism(
        FailsAtTheEnd(), RECORDS[:4], seed=0, persuasion_for_good=people(), outcomes=20
    )
    (only,) = [measure for measure in section.measures if measure.test == "outcomes"]
    assert (only.measure, only.estimate.value, only.passed) == ("failed replies", 1.0, False)

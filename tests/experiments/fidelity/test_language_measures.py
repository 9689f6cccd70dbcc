"""The measures of realism on users of whom it is known how real they are."""

import json
import math

import numpy as np
import pytest

from experiments.common.measures import write_measures
from experiments.fidelity.language_measures import (
    jensen_shannon,
    likelihood_measures,
    noise_floor,
    realism,
    realism_measures,
)
from experiments.fidelity.outcome_measures import calibration_error, outcomes_part
from experiments.fidelity.perplexity import (
    domain_perplexities,
    perplexity_ratio,
    perplexity_table,
    unseen_table,
)
from experiments.fidelity.probes.likelihood import (
    CopyLast,
    Likelihood,
    copy_last_likelihood,
    fit_copy_last,
    unigram_likelihood,
)
from experiments.fidelity.probes.replay import ReplayedDialogue
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
            (record.id, tuple(turn.response for turn in one.turns[:place])): one.turns[place]
            for record in records
            for one in record.dialogues
            for place in range(1, len(one.turns))
        }

    def reply(self, dialogues, seeds):
        return [
            UserReply(turn=self.known[one.scenario.id, tuple(turn.response for turn in one.turns)])
            for one in dialogues
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


def lines(user_model, **options):
    found = realism_measures(user_model, RECORDS, seed=1, **options)
    return {(one.test, one.measure): one for one in found}


def test_a_user_who_copies_people_can_not_be_told_from_them():
    found = lines(Remembering(RECORDS))
    assert all(one.passed is not False for one in found.values())
    for kind in KINDS:
        assert found["turns", f"{kind}: JS distance"].estimate.value == pytest.approx(0.0, abs=1e-6)
        floor = found["turns", f"{kind}: JS noise floor"].estimate
        assert 0 < floor.low < floor.value < floor.high < 1
    auc = found["turns", "AUC, simulated or recorded"].estimate
    assert auc.value == pytest.approx(0.5, abs=0.01)


def test_a_user_who_always_agrees_is_seen():
    found = lines(Agreeing())
    for kind in KINDS:
        assert found["turns", f"{kind}: JS distance"].passed is False, kind
    auc = found["turns", "AUC, simulated or recorded"]
    assert auc.estimate.value > 0.95
    assert auc.passed is False


def test_a_user_who_never_answers_is_an_error():
    with pytest.raises(RunError, match="failed at"):
        lines(Broken())


def test_a_user_without_likelihood_has_no_such_line():
    assert {test for test, _ in lines(Agreeing())} == {"turns"}


def test_of_three_scenarios_nothing_is_judged():
    found = realism_measures(Agreeing(), RECORDS[:3], seed=1)
    assert [one.measure for one in found if one.passed is not None] == ["failed replies"]


def test_jensen_shannon_of_known_distributions():
    same = np.asarray([1, 2, 3])
    assert jensen_shannon(same, 10 * same) == pytest.approx(0.0, abs=1e-8)
    assert jensen_shannon(np.asarray([5, 0]), np.asarray([0, 9])) == pytest.approx(1.0)
    # (1, 0) and (1/2, 1/2) about their middle (3/4, 1/4), in closed form.
    expected = math.sqrt(0.5 * math.log2(1 / 0.75) + 0.5 * (0.5 * math.log2(0.5 / 0.75) + 0.5))
    assert jensen_shannon(np.asarray([4, 0]), np.asarray([2, 2])) == pytest.approx(expected)
    assert math.isnan(jensen_shannon(same, 0 * same))


def test_the_noise_floor_holds_another_sample_of_the_same_kind_and_no_other_kind():
    rng = np.random.default_rng(0)
    clusters = [f"s-{place // 5}" for place in range(300)]

    def counts(shares):
        return np.eye(4, dtype=int)[rng.choice(4, size=300, p=shares)]

    here, there = counts([0.4, 0.3, 0.2, 0.1]), counts([0.4, 0.3, 0.2, 0.1])
    other = counts([0.1, 0.2, 0.3, 0.4])
    floor = noise_floor(here, clusters, generator(0))
    assert jensen_shannon(here.sum(axis=0), there.sum(axis=0)) < floor.high
    assert jensen_shannon(here.sum(axis=0), other.sum(axis=0)) > 2 * floor.high


def follow(attitude_of, n: int = 200) -> list[ReplayedDialogue]:
    rng = np.random.default_rng(3)
    found = []
    for place in range(n):
        did = bool(rng.random() < 0.55)
        attitude = attitude_of(did, rng)
        decision = Decision.ACCEPT if attitude >= 5.5 else Decision.CONTINUE
        words = "I will give" if did else "I keep mine"
        found.append(ReplayedDialogue(f"p-{place}", did, 4.0, attitude, decision, words))
    return found


def outcomes(found):
    part = outcomes_part(found, generator(0))
    return {one.measure: one for one in part.measures}, part.reliability


def test_an_oracle_foresees_outcomes():
    found, bins = outcomes(follow(lambda did, _: 7.0 if did else 1.0))
    assert found["AUC of the last attitude"].estimate.value == pytest.approx(1.0)
    assert found["AUC of the last attitude"].passed is True
    assert found["calibration error"].estimate.value == pytest.approx(0.0, abs=1e-9)
    assert found["calibration error, recalibrated"].estimate.value < 0.02
    bias = found["depth bias: rise of those who didn't"]
    assert bias.estimate.value == pytest.approx(-3.0)
    assert bias.passed is True
    assert found["did it, where the model accepts"].estimate.value == pytest.approx(1.0)
    assert [(one.said, one.observed.value) for one in bins] == [(0.0, 0.0), (1.0, 1.0)]
    # The words give it away too.
    assert found["AUC of the person's words"].estimate.value == pytest.approx(1.0)


def test_a_constant_user_and_one_who_agrees_with_everybody_foresee_nothing():
    constant, _ = outcomes(follow(lambda did, _: 4.0))
    assert constant["AUC of the last attitude"].estimate.value == pytest.approx(0.5)
    assert constant["AUC of the last attitude"].passed is False
    assert constant["depth bias: rise of those who didn't"].passed is True

    people = follow(lambda did, _: 7.0)
    agreeing, bins = outcomes(people)
    gave = np.mean([one.did for one in people])
    assert agreeing["AUC of the last attitude"].passed is False
    assert agreeing["calibration error"].estimate.value == pytest.approx(1 - gave)
    assert agreeing["calibration error, recalibrated"].estimate.value < 0.05
    assert agreeing["depth bias: rise of those who didn't"].passed is False
    assert agreeing["accepts, model"].estimate.value == 1.0
    assert agreeing["did it, where the model accepts"].estimate.value == pytest.approx(gave)
    assert len(bins) == 1


def test_the_calibration_error_of_known_probabilities():
    said = np.asarray([0.05, 0.05, 0.95, 0.95])
    assert calibration_error(said, np.asarray([0.0, 0.0, 1.0, 1.0])) == pytest.approx(0.05)
    assert calibration_error(said, np.asarray([1.0, 1.0, 0.0, 0.0])) == pytest.approx(0.95)
    # Half are right in a bin that says so.
    assert calibration_error(np.full(4, 0.5), np.asarray([0.0, 1.0, 0.0, 1.0])) == 0.0
    assert calibration_error(np.asarray([1.0]), np.asarray([1.0])) == 0.0


def people(n: int = 24) -> list[ScenarioRecord]:
    """Strangers who give if their number is even, and say so."""
    return [
        ScenarioRecord(
            **scenario(f"p4g-{place}").model_dump(),
            dialogues=(
                RecordedDialogue(
                    id="dialog",
                    turns=(
                        PersuaderTurn(response=f"Give {place} cents."),
                        PersuadeeTurn(response="Gladly, here." if place % 2 == 0 else "Hm, no."),
                        PersuaderTurn(response="Bye."),
                    ),
                    outcome_label=place % 2 == 0,
                ),
            ),
        )
        for place in range(n)
    ]


class Hearing:
    """Believes what the person said, one turn late: its attitude is read off their words."""

    def reply(self, dialogues, seeds):
        replies = []
        for one in dialogues:
            said = [turn.response for turn in one.persuadee_turns]
            attitude = 4.0 if not said else 6.5 if "Gladly" in said[-1] else 1.5
            replies.append(UserReply(turn=PersuadeeTurn(attitude=attitude, response="I see.")))
        return replies


def test_outcomes_are_measured_along_real_dialogues_and_written(tmp_path):
    told = []
    found = realism(
        Hearing(),
        RECORDS[:4],
        seed=0,
        persuasion_for_good=people(),
        outcomes=20,
        progress=lambda test, count: told.append(test),
    )
    known = {(one.test, one.measure): one for one in found.measures}
    auc = known["outcomes", "AUC of the last attitude"]
    assert auc.estimate.value == pytest.approx(1.0)
    assert auc.n == 20
    assert known["turns, PersuasionForGood", "failed replies"].n == 24
    # Attitudes of strangers aren't told, so nothing is said of their steps.
    assert ("turns, PersuasionForGood", "steps: JS distance") not in known
    assert {"turns", "turns, PersuasionForGood", "outcomes"} == set(told)

    write_measures(
        found.measures,
        tmp_path,
        {"user_model": "hearing"},
        histograms=found.histograms,
        reliability=found.reliability,
    )
    written = json.loads((tmp_path / "card.json").read_text())
    assert len(written["histograms"]) == len(found.histograms) == 6
    assert all(sum(one["recorded"]) == pytest.approx(1.0) for one in written["histograms"])
    assert sum(one["n"] for one in written["reliability"]) == 20
    assert (tmp_path / "realism.png").stat().st_size > 5000


def test_outcomes_that_all_fail_are_counted_and_nothing_else():
    class Deaf:
        def reply(self, dialogues, seeds):
            return [
                UserReply(error=FAILURE) if len(one.turns) == 3 else reply
                for one, reply in zip(dialogues, Hearing().reply(dialogues, seeds), strict=True)
            ]

    found = realism(Deaf(), RECORDS[:4], seed=0, persuasion_for_good=people(), outcomes=20)
    (only,) = [one for one in found.measures if one.test == "outcomes"]
    assert (only.measure, only.estimate.value, only.passed) == ("failed replies", 1.0, False)


def test_the_ratio_to_the_untuned_model_and_its_bar():
    def known(perplexity, name="s"):
        return [Likelihood(f"{name}-{n}", n * math.log(perplexity), n) for n in (3, 10, 40)]

    assert perplexity_ratio(known(3), known(12)).value == pytest.approx(0.25)
    with pytest.raises(RunError, match="no scenario"):
        perplexity_ratio(known(3), known(12, "other"))
    for ours, passes in ((3, True), (6, False)):
        baselines = {"untuned": known(12), "unigram": known(90), "copy-last": known(80)}
        found = {
            one.measure: one for one in likelihood_measures(known(ours), baselines, "likelihood", 0)
        }
        assert found["perplexity over the untuned model's"].passed is passes
        assert found["perplexity, user"].estimate.value == pytest.approx(ours)
        assert found["perplexity, copy-last"].estimate.value == pytest.approx(80)
    elsewhere = likelihood_measures(known(6), baselines, "likelihood, CToMPersu", 0)
    assert all(one.passed is None for one in elsewhere)


def test_domains_that_a_user_has_not_seen_are_set_against_the_others():
    records = load_corpus("test")
    left_out = frozenset({"Health"})

    def known(seen, unseen):
        return [
            Likelihood(one.id, 10 * math.log(unseen if one.domain in left_out else seen), 10)
            for one in records
        ]

    trained_on = frozenset(one.domain for one in records) - left_out
    table = unseen_table({"learned": known(20, 22), "unseen": known(20, 40)}, records, trained_on)
    rows = [list(column.cells) for column in table.columns]
    assert rows[0] == ["trained on", "left out", "left out over trained on"]
    assert int(rows[1][0]) + int(rows[1][1]) == len(records)
    assert [cell.split()[0] for cell in rows[2]] == ["20.00", "22.00", "1.10"]
    assert [cell.split()[0] for cell in rows[3]] == ["20.00", "40.00", "2.00"]
    with pytest.raises(RunError, match="or of none"):
        unseen_table({"learned": known(20, 22)}, records, frozenset())


def test_perplexity_by_domain():
    (other,) = [record for record in load_corpus("test") if record.domain != RECORDS[0].domain][:1]
    unseen = RECORDS[0].model_copy(update={"id": "new-1", "domain": "Beekeeping [new]"})
    found = domain_perplexities(
        [
            Likelihood(other.id, 5 * math.log(2), 5),
            Likelihood(unseen.id, 7 * math.log(9), 7),
            Likelihood(unseen.id, 3 * math.log(9), 3),
        ],
        [other, unseen],
    )
    assert {name: one.tokens for name, one in found.items()} == {
        other.domain: 5,
        unseen.domain: 10,
    }
    assert found[unseen.domain].estimate.value == pytest.approx(9)
    table = perplexity_table({"unigram": found, "copy-last": {}})
    names = list(table.columns[0].cells)
    assert any(name.endswith("*") for name in names)
    assert other.domain in names  # trained on, so unmarked
    assert table.row_count == 2


def test_copy_last_is_a_distribution_that_heeds_what_was_said(tokenizer):
    training, held_out = load_corpus("train")[:12], load_corpus("test")[:4]
    found = fit_copy_last(training, tokenizer)
    assert 0.01 < found.weight < 0.9
    heard = tokenizer("The tent is dry.", add_special_tokens=False)["input_ids"]
    for said in (heard, heard[:1], []):
        probabilities = found.probabilities(said)
        assert probabilities.sum() == pytest.approx(1.0)
        assert probabilities.min() > 0
        assert probabilities.shape == (len(tokenizer),)
    assert found.probabilities(heard)[heard[1]] > found.probabilities([])[heard[1]]

    plain = list(unigram_likelihood(training, held_out, tokenizer))
    copied = list(copy_last_likelihood(training, held_out, tokenizer))
    assert [(one.scenario, one.tokens) for one in plain] == [
        (one.scenario, one.tokens) for one in copied
    ]
    # People take up what was just said, so a little copying foresees them better, and all of it
    # foresees them worse than none.
    total = sum(one.nats for one in copied)
    assert total < sum(one.nats for one in plain)
    parrot = CopyLast(found.unigram, 0.99).likelihood(held_out, tokenizer)
    assert total < sum(one.nats for one in parrot)


def test_what_is_copied_is_the_last_turn(tokenizer):
    words = "zebra quartz"
    ids = tokenizer(words, add_special_tokens=False)["input_ids"]
    echo = ScenarioRecord(
        **scenario().model_dump(),
        dialogues=(
            RecordedDialogue(
                id="d",
                turns=(
                    PersuadeeTurn(response=words),
                    PersuaderTurn(response=words),
                    PersuadeeTurn(response=words),
                    PersuaderTurn(response="something else"),
                    PersuadeeTurn(response=words),
                ),
            ),
        ),
    )
    uniform = np.full(len(tokenizer), 1 / len(tokenizer))
    (found,) = CopyLast(uniform, 0.5).likelihood([echo], tokenizer)
    floor = math.log(len(tokenizer))
    alone = (len(ids) + 1) * floor  # with the end of the turn
    echoed = -sum(math.log(0.5 / len(tokenizer) + 0.5 * ids.count(one) / len(ids)) for one in ids)
    expected = alone + echoed + floor + math.log(2) + alone + (len(ids) + 1) * math.log(2)
    assert found.nats == pytest.approx(expected)

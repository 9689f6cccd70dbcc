"""Agents that are known to make sense pass, and others fail."""

import math

import pytest

from experiments.common.measures import Measure
from experiments.common.storage import BatchLog
from experiments.corpus.relevance import recorded_answers
from experiments.fidelity.sense import (
    PERSUADER,
    USER,
    recorded_contexts,
    sense_of_persuader,
    sense_of_user,
)
from persuade_env.dialogue import PersuadeeTurn
from persuade_env.errors import RunError
from persuade_env.protocols import UserReply
from persuade_env.scenarios import load_corpus
from tests.helpers import FAILURE, spoken

RECORDS = load_corpus("test", "plain")[:24]
RATIO = "last words found, generated over recorded"


class Speaker:
    """A persuader and a user model that says what a function of the dialogue gives."""

    def __init__(self, say):
        self.say, self.widths, self.seeds, self.dialogues = say, [], [], []

    def _called(self, dialogues, seeds):
        self.widths.append(len(dialogues))
        self.seeds += seeds
        self.dialogues += dialogues
        return [self.say(dialogue) for dialogue in dialogues]

    def act(self, dialogues, seeds):
        return [spoken(text) for text in self._called(dialogues, seeds)]

    def reply(self, dialogues, seeds):
        return [
            UserReply(turn=PersuadeeTurn(attitude=4.0, response=text))
            if text
            else UserReply(error=FAILURE)
            for text in self._called(dialogues, seeds)
        ]


def recorded(dialogue):
    """What the recorded speaker said at this point."""
    said = tuple(turn.response for turn in dialogue.turns)
    (record,) = (one for one in RECORDS if one.id == dialogue.scenario.id)
    return next(
        one.turns[len(said)].response
        for one in record.dialogues
        if len(one.turns) > len(said)
        and tuple(turn.response for turn in one.turns[: len(said)]) == said
    )


def by_name(measures: list[Measure], test: str) -> dict[str, Measure]:
    assert {measure.test for measure in measures} == {test}
    return {measure.measure: measure for measure in measures}


def of_persuader(say, **options):
    return by_name(sense_of_persuader(Speaker(say), RECORDS, limit=70, **options), PERSUADER)


def of_user(say, **options):
    return by_name(sense_of_user(Speaker(say), RECORDS, limit=70, **options), USER)


@pytest.mark.parametrize("sense", [of_persuader, of_user])
def test_whoever_says_what_was_recorded_is_as_good(sense):
    measures = sense(recorded)
    for context in ("context", "last words"):
        generated = measures[f"{context} found, generated"]
        assert generated.estimate.value == measures[f"{context} found, recorded"].estimate.value
        assert 0.6 < generated.estimate.value <= 1
        assert generated.estimate.low < generated.estimate.value
        ratio = measures[f"{context} found, generated over recorded"]
        assert (ratio.estimate.value, ratio.estimate.low, ratio.n) == (1.0, 1.0, 70)
    assert measures[RATIO].passed is True
    for error in ("repeats a turn", "own name", "out of role"):
        rates = [measures[f"{error}, {whose}"].estimate for whose in ("generated", "recorded")]
        assert rates[0].value == rates[1].value <= 0.03  # false alarms
    assert measures["failed replies"].passed is True


@pytest.mark.parametrize("sense", [of_persuader, of_user])
def test_what_could_be_said_anywhere_is_found_by_chance_and_fails(sense):
    measures = sense(lambda _: "I understand what you mean, and I'd like to think about it.")
    assert measures["context found, generated"].estimate.value < 0.2
    assert measures[RATIO].estimate.value < 0.3
    assert measures[RATIO].passed is False
    assert measures["last words found, recorded"].estimate.value > 0.6


def test_each_error_is_counted_where_it_is_made():
    def repeating(dialogue):
        return dialogue.turns[0].response

    measures = of_persuader(repeating)
    assert measures["repeats a turn, generated"].estimate.value == 1
    assert measures["own name, generated"].estimate.value < 0.1
    measures = of_persuader(lambda one: f"{one.scenario.persuader}, what is it that you fear?")
    assert measures["own name, generated"].estimate.value == 1
    assert measures["out of role, generated"].estimate.value == 0
    measures = of_user(lambda one: f"{one.scenario.persuader}, I don't know. Strategy: Wait")
    assert measures["own name, generated"].estimate.value == 0
    assert measures["out of role, generated"].estimate.value == 1
    assert measures["out of role, recorded"].estimate.value == 0


def test_only_the_persuader_has_to_speak_of_the_matter():
    name = "context found, generated over recorded"
    assert of_persuader(recorded)[name].threshold == "at least 0.9"
    assert of_user(recorded)[name].threshold == ""


def test_points_are_drawn_by_the_seed_and_agents_see_their_own_view():
    points = recorded_contexts(RECORDS, "persuader", limit=40, seed=1)
    again = recorded_contexts(RECORDS, "persuader", limit=40, seed=1)
    other = recorded_contexts(RECORDS, "persuader", limit=40, seed=2)
    assert points == again != other
    assert len({point.recorded for point in points}) == 40
    everything = recorded_contexts(RECORDS, "persuader", limit=10**6)
    assert [point.recorded for point in everything] == recorded_answers(RECORDS)
    assert all(point.dialogue.turns[-1].response == point.recorded.last for point in points)

    persuader, user = Speaker(recorded), Speaker(recorded)
    sense_of_persuader(persuader, RECORDS, limit=40, seed=1)
    sense_of_user(user, RECORDS, limit=40, seed=1)
    assert persuader.widths == user.widths == [32, 8]
    assert len(set(persuader.seeds)) == 40
    assert all(dialogue.scenario.persona is None for dialogue in persuader.dialogues)
    assert all(not turn.analysis for one in user.dialogues for turn in one.persuader_turns)


def test_what_was_said_is_stored_and_what_failed_is_asked_again(tmp_path):
    log = BatchLog(tmp_path / "sense.jsonl")
    user = Speaker(lambda one: recorded(one) if one.scenario.id != RECORDS[3].id else "")
    measures = by_name(sense_of_user(user, RECORDS, limit=70, log=log), USER)
    failed = measures["failed replies"]
    assert failed.passed is False
    assert 0 < failed.estimate.value < 1
    assert measures["last words found, recorded"].n < 70
    mended = Speaker(recorded)
    again = sense_of_user(mended, RECORDS, limit=70, log=log)
    assert by_name(again, USER)["failed replies"].passed is True
    assert 0 < sum(mended.widths) < 70
    never = Speaker(None)
    assert sense_of_user(never, RECORDS, limit=70, log=log) == again
    assert never.widths == []
    rows = [row for rows in log.read().values() for row in rows]
    assert all(row["recorded"] == row["text"] for row in rows)
    log.path.write_text('{"batch": "persuadee 0", "rows": [3]}\n')
    with pytest.raises(RunError, match=r"sense\.jsonl is damaged"):
        sense_of_user(never, RECORDS, limit=70, log=log)


def test_too_few_scenarios_have_no_share_and_no_verdict():
    records = load_corpus("test", "plain")[:1]
    measures = by_name(sense_of_user(Speaker(lambda _: "Hm."), records, limit=5), USER)
    assert math.isnan(measures[RATIO].estimate.value)
    assert measures[RATIO].passed is None
    assert measures["repeats a turn, generated"].n == 5

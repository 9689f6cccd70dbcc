import json

import pytest

import experiments.benchmark.turns as turn_level
from experiments.benchmark.config import TurnSettings
from experiments.benchmark.turns import (
    TurnRow,
    history_points,
    judged_pair,
    respond,
    run_turns,
    turns_table,
)
from experiments.common.storage import BatchLog
from persuade_env.dialogue import PersuaderTurn
from persuade_env.errors import PersuaderError, RunError
from persuade_env.protocols import PersuaderReply, Verdict
from persuade_env.scenarios import load_corpus
from tests.helpers import FAILURE, ScriptedPersuader, ScriptedUser, felt
from user_models.rule_based import RuleBasedUser

RECORDS = load_corpus("validation")[:8]
PLACES = history_points(RECORDS, 2)


class Recites:
    """Says what the recorded persuader said, place after place."""

    def __init__(self):
        self.left = iter(PLACES)

    def act(self, dialogues, seeds):
        return [
            PersuaderReply(turn=PersuaderTurn(response=next(self.left).reference.response))
            for _ in dialogues
        ]


class FailsAtOpenings(ScriptedPersuader):
    def act(self, dialogues, seeds):
        replies = super().act(dialogues, seeds)
        return [
            reply if dialogue.turns else PersuaderReply(error=PersuaderError("no words"))
            for dialogue, reply in zip(dialogues, replies, strict=True)
        ]


class SeesBoth:
    """A judge that likes the tent and remembers what it was shown."""

    def __init__(self, failing=False):
        self.pairs, self.failing = [], failing

    def compare(self, pairs):
        self.pairs += pairs
        if self.failing:
            return [Verdict.FAILED] * len(pairs)
        return [
            Verdict.FIRST if "tent" in first.turns[-1].response else Verdict.SECOND
            for first, _ in pairs
        ]


def one(agent, tmp_path, **settings):
    users = {"u": settings.pop("user", RuleBasedUser)}
    rows = run_turns({"a": lambda: agent}, users, RECORDS, tmp_path, TurnSettings(**settings))
    return rows[0]


def test_places_are_spread_over_the_competent_dialogues():
    competent = [d for r in RECORDS for d in r.dialogues if d.quality == "competent"]
    assert len(PLACES) == 2 * len(competent)
    assert not PLACES[0].history.turns
    assert len({place.id for place in PLACES}) == len(PLACES)
    for place in PLACES:
        assert not place.history.turns or place.history.turns[-1].role == "persuadee"
    every = history_points(RECORDS, 99)
    assert len(every) == sum(t.role == "persuader" for d in competent for t in d.turns)
    with pytest.raises(RunError, match="recorded dialogues"):
        history_points([one.model_copy(update={"dialogues": ()}) for one in RECORDS], 2)


def test_the_reference_ties_with_itself(tmp_path):
    for judge in ("attitude", "learned"):
        row = one(Recites(), tmp_path / judge, judge=judge)
        assert row.metrics["win_rate"].value == 0.5
        assert row.metrics["ties"].value == 1
        assert row.n == len(PLACES)
        assert row.metrics["words"].value == row.metrics["reference_words"].value


def test_giving_no_reason_loses_against_the_reference(tmp_path):
    naive = ScriptedPersuader("Just do it, really.")
    assert one(naive, tmp_path / "learned", judge="learned").metrics["win_rate"].high < 0.3
    assert one(naive, tmp_path / "attitude", judge="attitude").metrics["win_rate"].value < 0.5


def test_the_attitude_of_a_user_model_decides_and_is_named(tmp_path):
    class LikesTents(ScriptedUser):
        def _one(self, dialogue):
            self.script = (felt(6 if "tent" in dialogue.turns[-1].response else 2),)
            return super()._one(dialogue)

    row = one(ScriptedPersuader(), tmp_path, user=LikesTents)
    assert (row.user_model, row.judge) == ("u", "attitude")
    assert row.metrics["win_rate"].value == 1
    assert "RuleBasedUser" not in (tmp_path / "turns.json").read_text()


def test_a_judge_of_words_is_shown_both_responses_and_asks_no_user(tmp_path, monkeypatch):
    judge = SeesBoth()
    monkeypatch.setattr(turn_level, "load_judge", lambda spec: judge)
    row = one(ScriptedPersuader(), tmp_path, judge="mine", user=lambda: 1 / 0)
    assert (row.user_model, row.judge) == ("", "mine")
    assert row.metrics["win_rate"].value == 1
    assert len(judge.pairs) == 2 * len(PLACES)  # both orders
    first, second = judge.pairs[1]
    assert first.turns[:-1] == second.turns[:-1] == PLACES[1].history.turns
    assert second.turns[-1] == PersuaderTurn(response=PLACES[1].reference.response)


def test_failures_are_counted_and_never_averaged_in(tmp_path, monkeypatch):
    openings = sum(not place.history.turns for place in PLACES)
    row = one(FailsAtOpenings(), tmp_path / "agent")
    assert row.metrics["invalid"].value == openings / len(PLACES)
    assert row.n == len(PLACES) - openings
    row = one(ScriptedPersuader(), tmp_path / "user", user=lambda: ScriptedUser(FAILURE))
    assert row.metrics["invalid"].value == 1
    assert row.n == 0
    assert str(row.metrics["win_rate"]) == "–"
    monkeypatch.setattr(turn_level, "load_judge", lambda spec: SeesBoth(failing=True))
    row = one(ScriptedPersuader(), tmp_path / "judge", judge="mine")
    assert row.metrics["unjudged"].value == 1
    assert (row.n, row.metrics["invalid"].value) == (0, 0)


def test_stored_responses_are_not_asked_for_again(tmp_path):
    settings = TurnSettings(batch_size=3)
    log = BatchLog(tmp_path / "log.jsonl")
    first = respond(ScriptedPersuader(), RuleBasedUser(), PLACES, log, settings)
    again = respond(None, None, PLACES, log, settings)
    assert again == first
    pairs = [judged_pair(place, answer) for place, answer in zip(PLACES, again, strict=True)]
    assert all(len(a.turns) == len(b.turns) for a, b in pairs)


def test_rows_survive_being_stored(tmp_path):
    row = one(FailsAtOpenings(), tmp_path)
    stored = json.loads((tmp_path / "turns.json").read_text())
    assert (stored["protocol"], stored["judge"]) == ("turns", "attitude")
    assert TurnRow.from_json(stored["rows"][0]).to_json() == row.to_json()
    assert "judged by attitude" in str(turns_table([row]).caption)

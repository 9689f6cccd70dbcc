"""Labels of recorded dialogues that can't be true are refused, each with its place."""

import pytest

from persuade_env.dialogue import (
    Decision,
    PersuadeeTurn,
    PersuaderTurn,
    RecordedDialogue,
    ScenarioRecord,
)
from persuade_env.errors import ScenarioError
from persuade_env.scenarios import check, load, load_corpus
from persuade_env.scenarios.labels import impossible_labels
from tests.helpers import scenario

ASKED = PersuaderTurn(response="Would you come along to the lake?")


def record(*answers: PersuadeeTurn) -> ScenarioRecord:
    turns = tuple(turn for answer in answers for turn in (ASKED, answer))
    recorded = RecordedDialogue(id="only", turns=turns)
    return ScenarioRecord(**dict(scenario()), dialogues=(recorded,))


def answer(attitude, decision=Decision.CONTINUE, tone="warm") -> PersuadeeTurn:
    return PersuadeeTurn(attitude=attitude, tone=tone, response="Perhaps.", decision=decision)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ((answer(3, tone="gleeful"),), "turns.1.tone: expected one of amused, .* got 'gleeful'"),
        ((answer(5.5),), "turns.1.attitude: a step from 3 to 5.5; expected 2 points at most"),
        ((answer(3), answer(5.1)), "turns.3.attitude: a step from 3 to 5.1"),
        ((answer(3.5, Decision.ACCEPT),), "turns.1.decision: accepts at 3.5; expected .* 4 or mo"),
        ((answer(4.5, Decision.REFUSE),), "turns.1.decision: refuses at 4.5; expected .* 4 or le"),
    ],
)
def test_what_cannot_be_true_is_refused_with_its_place(tmp_path, answers, message):
    file = tmp_path / "own.jsonl"
    file.write_text(record(*answers).model_dump_json() + "\n")
    with pytest.raises(ScenarioError, match=f"own.jsonl: line 1: field dialogues.only.{message}"):
        load(file)
    records, errors = check(file)
    assert records == []
    assert len(errors) == 1


def test_the_bounds_themselves_are_allowed():
    assert impossible_labels(record(answer(5), answer(4, Decision.ACCEPT))) == []
    assert impossible_labels(record(answer(4, Decision.REFUSE))) == []
    assert impossible_labels(record(answer(None, tone=""), answer(1))) == []


def test_the_corpora_that_ship_have_no_such_labels():
    for name in ("literary", "plain"):
        assert not [line for one in load_corpus(name=name) for line in impossible_labels(one)]

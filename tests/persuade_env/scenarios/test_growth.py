"""The scenarios that wait to join the corpus keep its schema and its rules."""

from pathlib import Path

import pytest

from experiments.corpus_stats import corpus_stats
from persuade_env.dialogue import Outcome, PersuaderTurn
from persuade_env.scenarios import load, load_corpus

FILE = Path(__file__).parents[3] / "corpus" / "growth.jsonl"
RECORDS = load(FILE)


def test_they_are_new_and_repeat_nothing_of_the_corpus():
    known = {record.id for record in load_corpus()}
    assert not known & {record.id for record in RECORDS}
    every = corpus_stats([*load_corpus(), *RECORDS])[-1]
    assert every.repeated_sentences == 0
    assert every.most_used_name <= 4
    assert corpus_stats(RECORDS)[-1].nearest_openings <= 0.6


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.id)
def test_each_has_a_third_dialogue_and_labels(record):
    competent, poor, third = record.dialogues
    assert (competent.quality, poor.quality, third.quality) == ("competent", "poor", "competent")
    assert third.id in ("harder", "mended")
    if third.id == "harder":
        assert record.dialogue(third).scenario.persona != record.persona
        assert record.dialogue(third).scenario.persona == third.persona
        assert record.dialogue(third).outcome is not Outcome.ACCEPTED
    for one in record.dialogues:
        for turn in one.turns:
            if isinstance(turn, PersuaderTurn):
                assert turn.appeal is not None
                assert turn.strategy in record.strategies
                assert not turn.bluff or one is poor

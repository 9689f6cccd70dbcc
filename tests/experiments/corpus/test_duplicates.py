"""Near-duplicates of known texts, and of the plain corpus."""

import math

import pytest

from experiments.corpus.duplicates import near_duplicate_share
from persuade_env.dialogue import PersuaderTurn, RecordedDialogue, ScenarioRecord
from persuade_env.scenarios import load_corpus
from tests.helpers import scenario

LAKE = "Would you come along with us to the lake on Sunday morning?"
NEARLY = "Would you come along with me to the lake on Sunday morning?"
OTHER = "The company accepts notice on the last day of any month."


def record(name, *responses):
    dialogues = tuple(
        RecordedDialogue(id=str(k), turns=(PersuaderTurn(response=response),))
        for k, response in enumerate(responses)
    )
    return ScenarioRecord(**dict(scenario(name)), dialogues=dialogues)


def test_only_other_scenarios_are_repeated():
    assert near_duplicate_share([record("leisure-001", LAKE, NEARLY)]) == 0
    both = [record("leisure-001", LAKE, OTHER), record("leisure-002", NEARLY)]
    assert near_duplicate_share(both) == pytest.approx(2 / 3)
    # 9 of 13 word pairs are shared.
    assert near_duplicate_share(both, near=9 / 13 + 0.01) == 0
    assert near_duplicate_share(both, near=9 / 13) == pytest.approx(2 / 3)


def test_short_turns_may_be_alike():
    short = "Thank you, I'll think about it."
    alike = [record("leisure-001", short, LAKE), record("leisure-002", short)]
    assert near_duplicate_share(alike) == 0
    assert math.isnan(near_duplicate_share([record("leisure-001", short)]))


def test_the_plain_corpus_repeats_next_to_nothing():
    assert near_duplicate_share(load_corpus(name="plain")) <= 0.005

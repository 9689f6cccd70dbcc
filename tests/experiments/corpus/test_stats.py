"""Statistics of known texts, and of the shipped corpus."""

import json
import math

import pytest

from experiments.corpus.stats import (
    corpus_stats,
    distinct_2,
    nearest_openings,
    repeated_sentences,
    rouge_l,
    stats_table,
    write_stats,
)
from persuade_env.dialogue import Decision, PersuaderTurn, RecordedDialogue, ScenarioRecord
from persuade_env.scenarios import load_corpus
from tests.helpers import felt, scenario


def record(name, *answers, response="Come along to the lake with us on Sunday."):
    dialogues = tuple(
        RecordedDialogue(id=str(k), turns=(PersuaderTurn(response=response), answer))
        for k, answer in enumerate(answers)
    )
    return ScenarioRecord(**dict(scenario(name)), dialogues=dialogues)


def test_rouge_l_is_the_longest_common_subsequence():
    assert rouge_l(["a", "b", "c", "d"], ["a", "b", "c", "d"]) == 1.0
    assert rouge_l(["a", "b", "c", "d"], ["a", "x", "c", "y"]) == 0.5
    assert rouge_l(["a", "b"], ["b", "a"]) == 0.5
    assert rouge_l(["a", "b"], ["c", "d"]) == 0.0
    assert rouge_l([], ["a"]) == 0.0


def test_distinct_2_counts_word_pairs():
    assert distinct_2([["a", "b", "a", "b"]]) == pytest.approx(2 / 3)
    assert math.isnan(distinct_2([["a"]]))


def test_a_sentence_is_repeated_only_across_scenarios():
    same = felt(3, response="Short. And nobody would look after my old dog.")
    assert repeated_sentences([record("leisure-001", same, same)]) == {}
    alone = [
        record("leisure-001", same, response="One."),
        record("leisure-002", felt(3), response="Two."),
    ]
    assert repeated_sentences(alone) == {}
    both = [
        record("leisure-001", same, response="One."),
        record("leisure-002", same, response="Two."),
    ]
    assert repeated_sentences(both) == {
        "and nobody would look after my old dog": {"leisure-001", "leisure-002"}
    }
    assert nearest_openings(both) == 1.0


def test_outcomes_and_lengths_are_counted():
    records = [
        record(
            "leisure-001",
            felt(6, Decision.ACCEPT, response="Yes."),
            felt(2, Decision.REFUSE, response="No, never, not for all the tea in the world."),
        )
    ]
    (domain, total) = corpus_stats(records)
    assert (domain.name, total.name) == ("Leisure", "all")
    assert (total.scenarios, total.dialogues) == (1, 2)
    assert (total.accepted, total.refused, total.undecided) == (0.5, 0.5, 0.0)
    assert total.persuadee_words == 5.5
    assert total.persuadee_under_5 == 0.5
    silent = corpus_stats([record("leisure-002", felt(3))])[-1]
    assert math.isnan(silent.accepted)  # in a data set without decisions outcomes are unknown


def test_the_shipped_corpus_is_varied(tmp_path):
    records = load_corpus()
    total = corpus_stats(records)[-1]
    assert total.repeated_sentences == 0
    assert total.distinct_2 > 0.45
    assert total.most_used_name <= 4
    assert total.nearest_openings < 0.65
    rows = corpus_stats(records[:4])
    assert len(stats_table(rows).rows) == len(rows)
    write_stats(rows, records[:4], tmp_path)
    assert len(json.loads((tmp_path / "stats.json").read_text())) == len(rows)
    assert (tmp_path / "stats.png").stat().st_size > 5000

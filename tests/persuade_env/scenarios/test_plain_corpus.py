"""The corpus in plain words: what CORPUS.md's table demands of every record."""

import json
import statistics
from collections import Counter
from pathlib import Path

import pytest

from persuade_env.dialogue import (
    DOMAINS,
    TONES,
    Decision,
    PersuadeeTurn,
    PersuaderTurn,
    RecordedDialogue,
)
from persuade_env.errors import UnknownNameError
from persuade_env.scenarios import load_corpus, split_of
from persuade_env.text.normalize import one_line

RECORDS = load_corpus(name="plain")
DIALOGUES = [(record, recorded) for record in RECORDS for recorded in record.dialogues]
BAD_MOVES = {
    "Put pressure on", "Compliment", "Repeat the request", "Change the subject",
    "Make little of it", "Promise without detail", "Claim without proof", "Remind of a duty",
}  # fmt: skip


def test_it_has_twelve_scenarios_of_four_dialogues_in_every_domain():
    assert Counter(record.domain for record in RECORDS) == dict.fromkeys(DOMAINS, 12)
    assert {len(record.dialogues) for record in RECORDS} == {4}
    assert Counter(map(split_of, RECORDS)).keys() == {"train", "validation", "test"}
    with pytest.raises(UnknownNameError, match="literary, plain"):
        load_corpus(name="none")


def test_kinds_of_dialogues_are_shared_out():
    share = Counter(recorded.quality for _, recorded in DIALOGUES)
    total = len(DIALOGUES)
    assert 0.55 <= share["competent"] / total <= 0.62
    assert 0.18 <= share["mixed"] / total <= 0.23
    assert 0.18 <= share["poor"] / total <= 0.23
    long = sum(len(recorded.turns) >= 12 for _, recorded in DIALOGUES)
    assert long / total >= 0.25


def test_attitudes_tones_and_decisions_are_possible_ones():
    for record, recorded in DIALOGUES:
        before = record.dialogue(recorded).scenario.initial_attitude
        for turn in recorded.turns:
            if isinstance(turn, PersuaderTurn):
                continue
            place = f"{record.id}/{recorded.id}"
            assert turn.tone in TONES, place
            assert abs(turn.attitude - before) <= 2, place
            assert turn.decision is not Decision.ACCEPT or turn.attitude >= 5.5, place
            assert turn.decision is not Decision.REFUSE or turn.attitude <= 4, place
            before = turn.attitude


def test_good_turns_take_the_scenario_s_strategies_and_bad_ones_the_fixed_list():
    for record, recorded in DIALOGUES:
        assert not set(record.strategies) & BAD_MOVES
        for turn in recorded.turns:
            if isinstance(turn, PersuaderTurn) and recorded.quality == "mixed":
                known = set(record.strategies) if turn.good else BAD_MOVES
                assert turn.strategy in known, f"{record.id}/{recorded.id}"
            elif isinstance(turn, PersuaderTurn) and recorded.quality == "competent":
                assert turn.strategy in record.strategies, f"{record.id}/{recorded.id}"


def test_turns_are_plain_text_of_a_plain_length():
    turns = [turn for _, recorded in DIALOGUES for turn in recorded.turns]
    lengths = sorted(len(turn.response.split()) for turn in turns)
    assert lengths[-1] <= 56
    assert 25 <= lengths[len(lengths) // 2] <= 30
    assert sum(length <= 8 for length in lengths) / len(lengths) <= 0.04
    assert all(turn.response == one_line(turn.response) for turn in turns)


def test_no_response_is_said_in_two_scenarios():
    where = {}
    for record, recorded in DIALOGUES:
        for turn in recorded.turns:
            if len(turn.response.split()) >= 8:
                where.setdefault(turn.response.lower(), set()).add(record.id)
    assert not [text for text, ids in where.items() if len(ids) > 1]


def test_a_reader_of_the_words_alone_sees_most_of_the_steps():
    """`docs/results/blind-attitudes.jsonl`: how far each turn moved somebody, labelled blindly."""
    by_id = {record.id: record for record in RECORDS}
    lines = (Path(__file__).parents[3] / "docs/results/blind-attitudes.jsonl").read_text()
    labelled, recorded_steps = [], []
    for label in map(json.loads, lines.splitlines()):
        record = by_id[label["scenario"]]
        recorded = next(d for d in record.dialogues if d.id == label["dialogue"])
        turn = recorded.turns[label["turn"]]
        before = record.dialogue(recorded, until=label["turn"]).attitude
        labelled.append(label["step"])
        recorded_steps.append(turn.attitude - before)
    assert len(labelled) >= 50
    # 0.8 was wanted, and 0.73 was found (docs/data/corpora.md).
    assert statistics.correlation(labelled, recorded_steps) >= 0.7


def test_only_mixed_dialogues_mark_their_turns():
    marked = PersuaderTurn(response="Hello.", good=True)
    answer = PersuadeeTurn(attitude=4.0, tone="warm", response="Hello.")
    mixed = RecordedDialogue(id="mended", quality="mixed", turns=(marked, answer))
    assert mixed.is_good(marked)
    with pytest.raises(ValueError, match="only a mixed dialogue"):
        RecordedDialogue(id="poor", quality="poor", turns=(marked, answer))
    with pytest.raises(ValueError, match="says whether it is good"):
        RecordedDialogue(
            id="mended", quality="mixed", turns=(PersuaderTurn(response="Hello."), answer)
        )

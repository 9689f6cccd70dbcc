import pytest

from experiments.corpus.relevance import (
    Answer,
    answering_turns,
    are_found,
    found_among,
    recorded_answers,
)
from persuade_env.dialogue import RecordedDialogue
from persuade_env.scenarios import load_corpus

WORDS = (
    "bread", "violin", "bicycle", "insurance", "tomato", "museum", "surgery", "marathon", "winter",
    "library", "passport", "fireworks", "orchard", "submarine", "wedding", "chess", "volcano",
    "laundry", "parliament", "lighthouse", "puppet", "glacier", "dentist", "harvest", "satellite",
)  # fmt: skip


def answers(reply, copies=4):
    return [
        Answer(f"s-{index}", f"About the {word}.", f"I worry about the {word}.", reply(index))
        for _ in range(copies)
        for index, word in enumerate(WORDS)
    ]


def test_turns_that_name_the_thing_are_found_and_others_by_chance():
    named = found_among(answers(lambda index: f"The {WORDS[index]} is taken care of."))
    assert named.value == 1.0
    silent = found_among(answers(lambda index: "All of it is taken care of."), "last words")
    assert silent.value <= 0.2
    wrong = answers(lambda index: f"The {WORDS[(index + 1) % len(WORDS)]} is taken care of.")
    assert found_among(wrong, "last words").value <= 0.2


def test_the_same_seed_gives_the_same_figure_and_an_interval():
    turns = recorded_answers(load_corpus("test")[:20])
    first = found_among(turns, "last words", seed=3)
    assert first == found_among(turns, "last words", seed=3)
    assert first.low <= first.value <= first.high


def test_bad_turns_are_left_out():
    records = load_corpus("test", "plain")[:10]
    good, every = recorded_answers(records), recorded_answers(records, good_only=False)
    assert 0 < len(good) < len(every)
    poor = {
        turn.response
        for record in records
        for recorded in record.dialogues
        if recorded.quality == "poor"
        for turn in recorded.turns
        if turn.role == "persuader"
    }
    assert not poor & {answer.text for answer in good}
    assert isinstance(records[0].dialogues[0], RecordedDialogue)


def test_silence_is_never_found_and_rivals_may_be_others():
    named = answers(lambda index: f"The {WORDS[index]} is taken care of.", copies=1)
    assert are_found(answers(lambda _: "", copies=1)).sum() == 0
    assert are_found(named, rivals=named).tolist() == are_found(named).tolist()
    few = are_found(named[:3], "last words", rivals=named)
    assert few.tolist() == [1.0] * 3
    assert str(are_found(named[:3], "last words").tolist()) == "[nan, nan, nan]"


def test_every_answering_turn_is_told_by_its_place():
    records = load_corpus("test")[:5]
    for role in ("persuader", "persuadee"):
        places = list(answering_turns(records, role, good_only=False))
        assert all(recorded.turns[index].role == role for _, recorded, index in places)
        texts = [recorded.turns[index].response for _, recorded, index in places]
        assert texts == [one.text for one in recorded_answers(records, role, good_only=False)]
    opened = sum(d.turns[0].role == "persuadee" for r in records for d in r.dialogues)
    turns = sum(t.role == "persuadee" for r in records for d in r.dialogues for t in d.turns)
    assert len(places) == turns - opened


def test_one_scenario_has_nothing_to_be_told_from():
    one = [Answer("s", "a", "b", "c")] * 40
    assert found_among(one).value != found_among(one).value
    assert found_among([]).value != found_among([]).value


@pytest.mark.parametrize(("context", "wanted"), [("context", 0.80), ("last words", 0.75)])
def test_the_plain_corpus_answers(context, wanted):
    turns = recorded_answers(load_corpus(name="plain"))[::4]
    assert found_among(turns, context).value >= wanted

"""The model's words at the places of people's."""

import pytest

from persuade_env.llm.backends.transformers import TransformersChat
from persuade_env.scenarios import load_corpus
from persuade_env.text.normalize import one_line
from user_models.learned.training.model_samples import (
    FILE,
    model_samples,
    read_model_samples,
    write_model_samples,
)


def test_the_model_is_asked_where_people_spoke(chat, tmp_path):
    records = load_corpus("train")[:4]
    told = []
    found = model_samples(chat, records, 6, 1, told.append)
    assert sum(told) == 6
    assert len(found) == 6
    people = {
        (record.id, one_line(turn.response))
        for record in records
        for recorded in record.dialogues
        for turn in recorded.turns[1:]
        if turn.role == "persuadee"
    }
    assert {(one.scenario, one.person) for one in found} <= people
    assert len({one.person for one in found}) == 6
    assert all(one.model and one.model != one.person for one in found)
    write_model_samples(found, tmp_path)
    assert read_model_samples(tmp_path / FILE) == found


def test_the_same_seed_gives_the_same_words(chat, tokenizer):
    records = load_corpus("train")[:2]
    found = model_samples(chat, records, 3, 1)
    assert model_samples(TransformersChat(chat.model, tokenizer), records, 3, 1) == found
    assert model_samples(chat, records, 3, 2) != found


def test_there_may_be_fewer_places(chat):
    records = [load_corpus("train")[0]]
    records[0] = records[0].model_copy(update={"dialogues": records[0].dialogues[:1]})
    places = sum(turn.role == "persuadee" for turn in records[0].dialogues[0].turns[1:])
    assert len(model_samples(chat, records, 1000, 1)) == pytest.approx(places, abs=1)

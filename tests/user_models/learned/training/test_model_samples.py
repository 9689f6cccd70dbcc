"""The model is sampled at recorded turns of people."""

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


def test_the_model_is_sampled_where_people_answered(chat, tmp_path):
    records = load_corpus("train")[:4]
    counts = []
    samples = model_samples(chat, records, 6, 1, counts.append)
    assert sum(counts) == 6
    assert len(samples) == 6
    people = {
        (record.id, one_line(turn.response))
        for record in records
        for recorded in record.dialogues
        for turn in recorded.turns[1:]
        if turn.role == "persuadee"
    }
    assert {(sample.scenario, sample.person) for sample in samples} <= people
    assert len({sample.person for sample in samples}) == 6
    assert all(sample.model and sample.model != sample.person for sample in samples)
    write_model_samples(samples, tmp_path)
    assert read_model_samples(tmp_path / FILE) == samples


def test_the_same_seed_gives_the_same_words(chat, tokenizer):
    records = load_corpus("train")[:2]
    samples = model_samples(chat, records, 3, 1)
    assert model_samples(TransformersChat(chat.model, tokenizer), records, 3, 1) == samples
    assert model_samples(chat, records, 3, 2) != samples


def test_there_may_be_fewer_turns(chat):
    records = [load_corpus("train")[0]]
    records[0] = records[0].model_copy(update={"dialogues": records[0].dialogues[:1]})
    n_turns = sum(turn.role == "persuadee" for turn in records[0].dialogues[0].turns[1:])
    assert len(model_samples(chat, records, 1000, 1)) == pytest.approx(n_turns, abs=1)

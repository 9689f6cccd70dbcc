"""Embeddings are equal to wordllama's, and do not depend on the batch or the cache."""

from pathlib import Path

import numpy as np
import pytest
import wordllama
from hypothesis import given, settings
from hypothesis import strategies as st

from persuade_env.dialogue import PersuaderTurn
from persuade_env.scenarios import load_corpus
from persuade_env.text import embedding
from persuade_env.text.embedding import Embedder

ODD = (
    "<s> and <unk> and </s>",
    "a\u2581b \u2581\u2581",
    "  two  spaces ",
    "\n\t.",
    "\x00",
    "🙂‍↔️ 你好",
)


@pytest.fixture(scope="module")
def library():
    folder = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)


def recorded_responses() -> list[str]:
    return [
        turn.response
        for record in load_corpus("test")
        for recorded in record.dialogues
        for turn in recorded.turns
        if isinstance(turn, PersuaderTurn)
    ]


def test_the_vectors_are_wordllamas_to_the_bit(library):
    texts = [*recorded_responses(), *ODD]
    np.testing.assert_array_equal(Embedder().all(texts), library.embed(texts, norm=True))


PIECES = st.sampled_from(
    ("tent", "dog's", " ", "  ", "\u2581", "<s>", "<", "s>", "\n", "é", "你好")
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES | st.text(max_size=4), min_size=1, max_size=12).map("".join))
def test_they_are_wordllamas_however_words_are_set_apart(library, text):
    if text.strip():
        np.testing.assert_array_equal(Embedder()(text), library.embed(text, norm=True)[0])


def test_no_token_reaches_over_the_beginning_of_a_word(library):
    """The property that allows tokenizing a text word by word."""
    vocabulary = library.tokenizer.get_vocab(with_added_tokens=False)
    assert not [token for token in vocabulary if "\u2581" in token.lstrip("\u2581")]
    special = library.tokenizer.get_added_tokens_decoder().values()
    assert all(token.content.startswith("<") for token in special)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=20))
def test_a_vector_is_the_same_alone_and_in_any_company(texts):
    together = Embedder().all(texts)
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_array_equal(Embedder()(text), vector)


def test_vectors_have_length_one_and_silence_none():
    vectors = Embedder().all(["Hello there.", "", "  "])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 0, 0])


def test_a_full_memory_changes_no_answer(monkeypatch):
    texts = [*recorded_responses(), *ODD]
    expected = Embedder().all(texts)
    monkeypatch.setattr(embedding, "_CACHED_TEXTS", 3)
    embed = Embedder()
    for text, vector in zip(texts, expected, strict=True):
        np.testing.assert_array_equal(embed(text), vector)
    np.testing.assert_array_equal(embed.all(texts), expected)

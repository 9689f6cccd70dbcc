"""Text normalization against its plain definition."""

from hypothesis import given
from hypothesis import strategies as st

from persuade_env.text.normalize import normalize_quotes, one_line, whole_sentences


@given(st.text())
def test_one_line_is_split_and_join_also_on_its_fast_path(text):
    assert one_line(text) == " ".join(text.split())


@given(st.text())
def test_whole_sentences_is_a_prefix_that_ends_a_sentence_where_there_is_one(text):
    kept = whole_sentences(text)
    assert text.startswith(kept)
    assert kept == text or kept[-1] in ".?!"


@given(st.text())
def test_normalized_quotes_are_straight(text):
    assert not set("’‘") & set(normalize_quotes(text))

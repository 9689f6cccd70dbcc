"""Sanitizing of control tokens and invisible characters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persuade_env.llm.sanitize import sanitize

CONTROL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "</s>", "[INST]", "<<SYS>>")
SALTED = st.lists(st.one_of(st.text(max_size=8), st.sampled_from(CONTROL))).map("".join)


@given(SALTED)
def test_it_is_idempotent(text):
    assert sanitize(sanitize(text)) == sanitize(text)


@given(st.text(alphabet=st.characters(categories=["L", "N", "Po", "Zs"])))
def test_ordinary_text_is_left_alone(text):
    assert sanitize(text) == text


@settings(max_examples=200, deadline=None)
@given(text=SALTED)
def test_no_text_becomes_a_control_token(tokenizer, text):
    special = set(tokenizer.all_special_ids)
    assert not special & set(tokenizer(sanitize(text), add_special_tokens=False)["input_ids"])


def test_the_salt_would_be_control_tokens_without_it(tokenizer):
    ids = tokenizer("<|im_end|>", add_special_tokens=False)["input_ids"]
    assert set(ids) & set(tokenizer.all_special_ids)


@pytest.mark.parametrize("hidden", ["\u200b", "\u202e", "\U000e0041"])
def test_invisible_characters_are_removed(hidden):
    assert sanitize(f"<|im_{hidden}end|>") == "< |im_end|>"

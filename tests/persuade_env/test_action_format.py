"""The intent-to-strategy format: round trip, malformed text, and privacy of the reasoning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persuade_env.action_format import parse_turn, read_action, render_turn
from persuade_env.dialogue import PersuaderTurn
from persuade_env.errors import MalformedTurnError
from persuade_env.text.normalize import one_line

WORDS = st.text().map(one_line).filter(bool)


@given(WORDS, WORDS, WORDS)
def test_what_is_rendered_is_read_back(analysis, strategy, response):
    turn = PersuaderTurn(analysis=analysis, strategy=strategy, response=response)
    assert parse_turn(render_turn(turn)) == turn


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Just words.",
        "Analysis: a\nStrategy: b",
        "Strategy: b\nAnalysis: a\nResponse: c",
        "Analysis: a\nStrategy: b\nResponse: c\nResponse: d",
        "Analysis: a\nStrategy:\nResponse: c",
        "Sure!\nAnalysis: a\nStrategy: b\nResponse: c",
    ],
)
def test_anything_but_the_three_fields_once_in_order_is_malformed(text):
    with pytest.raises(MalformedTurnError):
        parse_turn(text)


@given(st.text(), st.sampled_from(["Analysis", "Strategy"]))
def test_private_reasoning_is_never_spoken(text, marker):
    secret = "zebra-crossing-secret"
    turn, _ = read_action(f"{text}\n{marker}: {secret}\nResponse: hello")
    assert secret not in turn.response
    turn, malformed = read_action(f"{marker}: {secret} and nothing said")
    assert (turn.response, malformed) == ("", True)


@given(st.text(alphabet=st.characters(exclude_characters=":")))
def test_plain_text_is_speech_on_one_line(text):
    turn, malformed = read_action(text)
    assert (turn.response, malformed) == (one_line(text), False)


def test_half_a_surrogate_pair_becomes_a_character_that_can_be_stored():
    for text in ("Fine \ud83d", "Analysis: a\nStrategy: b\nResponse: Fine \ud83d"):
        turn, _ = read_action(text)
        assert turn.response == "Fine \ufffd"
        assert PersuaderTurn.model_validate_json(turn.model_dump_json()) == turn

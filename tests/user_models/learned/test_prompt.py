"""What the encoder reads and what the chat model continues."""

from persuade_env.dialogue import Dialogue, PersuaderTurn
from tests.helpers import scenario
from user_models.learned.prompt import (
    MAX_RESPONSE_BYTES,
    clean_response,
    encoder_messages,
    user_messages,
)
from user_models.reply_format import EMPTY_RESPONSE

RESPONSE = "I'll lend you a tent."
DIALOGUE = Dialogue(scenario=scenario()).extended(
    PersuaderTurn(analysis="secret plan", strategy="press", response=RESPONSE)
)


def test_goal_persona_and_words_reach_the_encoder():
    text = str(encoder_messages(DIALOGUE))
    concern = scenario().persona.concerns[0]
    for part in (scenario().goal, concern.text, concern.settled_by, concern.worsened_by):
        assert part in text
    assert encoder_messages(DIALOGUE)[-1] == {"role": "user", "content": RESPONSE}


def test_a_long_response_is_cut_between_characters():
    assert clean_response("") == clean_response("  \n ") == EMPTY_RESPONSE
    assert clean_response("Two\nlines.") == "Two lines."
    for letter in ("a", "é", "\U0001f600"):
        cut = clean_response(letter * 10_000)
        assert len(cut.encode()) <= MAX_RESPONSE_BYTES
        assert set(cut) == {letter}


def test_the_prompt_holds_the_persona_and_no_private_reasoning():
    text = str(user_messages(DIALOGUE))
    assert "I don't own a tent." in text
    assert "secret plan" not in text
    assert "press" not in text


def test_an_empty_response_is_written_out():
    dialogue = Dialogue(scenario=scenario()).extended(PersuaderTurn(response=""))
    assert user_messages(dialogue)[-1] == {"role": "user", "content": "(says nothing)"}

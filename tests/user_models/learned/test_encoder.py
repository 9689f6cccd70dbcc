"""What is heard is what was said, whatever else is heard beside it."""

import numpy as np
import pytest

from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.llm.generation.cpu_llama import Llama
from persuade_env.scenarios import load_corpus
from tests.helpers import felt, scenario
from user_models.learned.encoder import (
    EMPTY_RESPONSE,
    MAX_RESPONSE_BYTES,
    TurnEncoder,
    clean_response,
    encoder_messages,
)


def dialogue(*turns):
    return Dialogue(scenario=scenario(), turns=turns)


FIRST = PersuaderTurn(response="I could lend you a tent.")


def test_only_words_are_heard(encoder):
    last = PersuaderTurn(response="It keeps dry.")
    one, other = (
        dialogue(
            FIRST, felt(attitude, response="Does it leak?").model_copy(update={"tone": tone}), last
        )
        for attitude, tone in ((2.0, "angry"), (6.0, "warm"))
    )
    assert np.array_equal(encoder([one]), encoder([other]))
    thought = last.model_copy(update={"analysis": "secret", "strategy": "plan"})
    assert np.array_equal(encoder([one]), encoder([dialogue(*one.turns[:2], thought)]))


def test_what_is_heard_does_not_depend_on_company_or_memory(encoder, chat):
    heard = [
        record.dialogue(one, until=place)
        for record in load_corpus("test")[:3]
        for one in record.dialogues
        for place in (1, 3)
    ]
    together = encoder(heard)
    assert together.shape == (len(heard), chat.model.config.hidden_size)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0)
    fresh = TurnEncoder(chat.model, chat.tokenizer)
    for place in reversed(range(len(heard))):
        assert np.array_equal(fresh([heard[place]])[0], together[place])


def test_a_model_of_another_kind_is_heard_the_same(encoder, chat, monkeypatch):
    monkeypatch.setattr(Llama, "supports", lambda model: False)
    plain = TurnEncoder(chat.model, chat.tokenizer)
    said = dialogue(FIRST)
    assert plain([said])[0] @ encoder([said])[0] == pytest.approx(1.0, abs=2e-3)  # they may be bf16


def test_goal_persona_and_words_reach_the_ear():
    text = str(encoder_messages(dialogue(FIRST)))
    concern = scenario().persona.concerns[0]
    for part in (scenario().goal, concern.text, concern.settled_by, concern.worsened_by):
        assert part in text
    assert text.endswith(f"{FIRST.response}'}}]")


def test_nobody_listens_for_ever():
    assert clean_response("") == clean_response("  \n ") == EMPTY_RESPONSE
    assert clean_response("Two\nlines.") == "Two lines."
    for letter in ("a", "é", "\U0001f600"):
        cut = clean_response(letter * 10_000)
        assert len(cut.encode()) <= MAX_RESPONSE_BYTES
        assert set(cut) == {letter}

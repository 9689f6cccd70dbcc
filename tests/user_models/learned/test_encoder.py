"""An encoding depends on the words of its dialogue and on nothing else."""

import numpy as np
import pytest

from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.llm.generation.cpu_llama import Llama
from persuade_env.scenarios import load_corpus
from tests.helpers import felt, scenario
from user_models.learned.encoder import TurnEncoder


def dialogue(*turns):
    return Dialogue(scenario=scenario(), turns=turns)


FIRST = PersuaderTurn(response="I could lend you a tent.")


def test_only_words_are_encoded(encoder):
    last = PersuaderTurn(response="It keeps dry.")
    cold, warm = (
        dialogue(
            FIRST, felt(attitude, response="Does it leak?").model_copy(update={"tone": tone}), last
        )
        for attitude, tone in ((2.0, "angry"), (6.0, "warm"))
    )
    assert np.array_equal(encoder([cold]), encoder([warm]))
    with_reasoning = last.model_copy(update={"analysis": "secret", "strategy": "plan"})
    assert np.array_equal(encoder([cold]), encoder([dialogue(*cold.turns[:2], with_reasoning)]))


def test_an_encoding_does_not_depend_on_batch_or_cache(encoder, chat):
    dialogues = [
        record.dialogue(recorded, until=until)
        for record in load_corpus("test")[:3]
        for recorded in record.dialogues
        for until in (1, 3)
    ]
    together = encoder(dialogues)
    assert together.shape == (len(dialogues), chat.model.config.hidden_size)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0)
    fresh = TurnEncoder(chat.model, chat.tokenizer)
    for index in reversed(range(len(dialogues))):
        assert np.array_equal(fresh([dialogues[index]])[0], together[index])


def test_a_model_of_another_architecture_gives_the_same_encoding(encoder, chat, monkeypatch):
    monkeypatch.setattr(Llama, "supports", lambda model: False)
    uncached = TurnEncoder(chat.model, chat.tokenizer)
    first = dialogue(FIRST)
    similarity = uncached([first])[0] @ encoder([first])[0]
    assert similarity == pytest.approx(1.0, abs=2e-3)  # they may be bf16

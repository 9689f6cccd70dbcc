"""Common components are removed, and what is left is the content."""

import numpy as np
import pytest

from user_models.learned.encoder import TurnEncoder
from user_models.learned.semantic_embedding import CommonComponents, SemanticEmbedder


def test_common_components_are_removed():
    rng = np.random.default_rng(0)
    shared = np.linalg.qr(rng.normal(size=(32, 9)))[0].T
    own = rng.normal(size=(200, 32))
    own -= own @ shared.T @ shared
    states = own + 50.0 + 30.0 * rng.normal(size=(200, 8)) @ shared[:8]
    common = CommonComponents.of(states)
    texts = {f"text {index}": row for index, row in enumerate(states)}
    embedded = SemanticEmbedder(texts.__getitem__, common).all(list(texts))
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1.0)
    directions = np.asarray(common.directions)
    np.testing.assert_allclose(directions @ directions.T, np.eye(8), atol=1e-9)
    np.testing.assert_allclose(embedded @ directions.T, 0.0, atol=1e-9)
    expected = own - own.mean(axis=0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs(np.sum(embedded * expected, axis=1)).mean() > 0.9


def test_a_text_without_content_is_zero():
    common = CommonComponents(mean=(1.0, 2.0), directions=((1.0, 0.0),))
    embedder = SemanticEmbedder(
        lambda text: np.array([3.0, 2.0]) if text == "as all" else np.ones(2), common
    )
    assert not embedder("").any()
    assert not embedder("as all").any()
    np.testing.assert_allclose(embedder("word"), [0.0, -1.0])


def test_texts_are_embedded_alone_and_by_their_content(encoder, chat):
    texts = [
        "I will lend you a tent and a warm sleeping bag.",
        "You can have my old tent, and I have a sleeping bag for you.",
        "The council raised the parking fees again last week.",
    ]
    states = np.stack([encoder.mean_state(text) for text in texts])
    assert states.shape == (3, chat.model.config.hidden_size)
    alone = TurnEncoder(chat.model, chat.tokenizer)
    assert all(
        np.array_equal(alone.mean_state(text), row) for text, row in zip(texts, states, strict=True)
    )
    others = ["She sings.", "It rains a lot.", "Who pays for it?", "A dog barked.", "Three euros."]
    common = CommonComponents.of(np.stack([encoder.mean_state(text) for text in (*texts, *others)]))
    # So few texts span few directions; two are enough to remove.
    embedder = SemanticEmbedder(
        encoder.mean_state, CommonComponents(mean=common.mean, directions=common.directions[:2])
    )
    tents, fees = embedder.all(texts[:2]), embedder(texts[2])
    assert tents[0] @ tents[1] > max(tents @ fees)
    assert not encoder.mean_state("").any()


def test_control_tokens_in_a_text_are_read_as_words(encoder):
    text = "Fine.<|im_end|><|im_start|>system"
    assert encoder.mean_state(text) != pytest.approx(encoder.mean_state("Fine."))
    ids = encoder._tokenizer(text, add_special_tokens=False)["input_ids"]
    assert encoder._tokenizer.eos_token_id in ids  # as it would be read without `sanitize`

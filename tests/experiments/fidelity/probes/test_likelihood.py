import math

import pytest
import torch

from experiments.fidelity.perplexity import perplexity, sample
from experiments.fidelity.probes.likelihood import (
    Likelihood,
    unigram_likelihood,
    words_labels,
    words_likelihood,
)
from persuade_env.dialogue import PersuadeeTurn
from persuade_env.errors import RunError
from persuade_env.llm.training.logprobs import IGNORED
from persuade_env.scenarios import load_corpus

(RECORD,) = load_corpus("test")[:1]


def test_only_the_persuadees_words_are_counted(tokenizer):
    dialogue = RECORD.dialogue(RECORD.dialogues[0])
    ids, labels = words_labels(dialogue, tokenizer)
    counted = tokenizer.decode([label for label in labels if label != IGNORED])
    said = [turn.response for turn in dialogue.turns if isinstance(turn, PersuadeeTurn)]
    assert counted == "".join(f"{words}{tokenizer.eos_token}" for words in said)
    assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))


def test_the_likelihood_is_that_of_a_plain_forward_pass(chat):
    (found,) = words_likelihood(
        chat, [RECORD.model_copy(update={"dialogues": RECORD.dialogues[:1]})]
    )
    ids, labels = words_labels(RECORD.dialogue(RECORD.dialogues[0]), chat.tokenizer)
    with torch.inference_mode():
        logits = chat.model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
    plain = -sum(
        float(logits[place - 1, label]) for place, label in enumerate(labels) if label != IGNORED
    )
    assert found.tokens == sum(label != IGNORED for label in labels)
    assert found.nats == pytest.approx(plain, rel=1e-3)
    assert found.scenario == RECORD.id


def test_perplexity_of_known_likelihoods():
    # One token in four each time is a perplexity of 4, whatever the number of tokens.
    known = [Likelihood(f"s-{n}", n * math.log(4), n) for n in (3, 10, 40)]
    found = perplexity(known)
    assert found.estimate.value == pytest.approx(4)
    assert (found.scenarios, found.tokens) == (3, 53)
    assert found.estimate.low == pytest.approx(4)
    with pytest.raises(RunError, match="says something"):
        perplexity([])


def test_a_sample_is_spread_over_the_file():
    records = load_corpus()
    assert sample(records, 10_000) == records
    some = sample(records, 5)
    assert len(some) == 5
    assert some[0] is records[0]
    assert some[-1] is records[-1]


def test_word_frequencies_are_beaten_by_the_model_and_beat_chance(chat):
    known = perplexity(list(words_likelihood(chat, [RECORD]))).estimate.value
    frequencies = perplexity(
        list(unigram_likelihood(load_corpus("train"), [RECORD], chat.tokenizer))
    ).estimate.value
    assert known < frequencies < len(chat.tokenizer)

"""Likelihoods are of the persuadee's words alone, and baselines are distributions."""

import math

import numpy as np
import pytest
import torch

from experiments.fidelity.perplexity import perplexity
from experiments.fidelity.probes.likelihood import (
    CopyLast,
    copy_last_likelihood,
    fit_copy_last,
    unigram_likelihood,
    words_labels,
    words_likelihood,
)
from persuade_env.dialogue import (
    PersuadeeTurn,
    PersuaderTurn,
    RecordedDialogue,
    ScenarioRecord,
)
from persuade_env.llm.training.logprobs import IGNORED
from persuade_env.scenarios import load_corpus
from tests.helpers import scenario

(RECORD,) = load_corpus("test")[:1]


def test_only_the_persuadees_words_are_counted(tokenizer):
    dialogue = RECORD.dialogue(RECORD.dialogues[0])
    ids, labels = words_labels(dialogue, tokenizer)
    counted = tokenizer.decode([label for label in labels if label != IGNORED])
    responses = [turn.response for turn in dialogue.turns if isinstance(turn, PersuadeeTurn)]
    assert counted == "".join(f"{response}{tokenizer.eos_token}" for response in responses)
    assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))


def test_the_likelihood_is_that_of_a_plain_forward_pass(chat):
    (likelihood,) = words_likelihood(
        chat, [RECORD.model_copy(update={"dialogues": RECORD.dialogues[:1]})]
    )
    ids, labels = words_labels(RECORD.dialogue(RECORD.dialogues[0]), chat.tokenizer)
    with torch.inference_mode():
        logits = chat.model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
    nats = -sum(
        float(logits[position - 1, label])
        for position, label in enumerate(labels)
        if label != IGNORED
    )
    assert likelihood.tokens == sum(label != IGNORED for label in labels)
    assert likelihood.nats == pytest.approx(nats, rel=1e-3)
    assert likelihood.scenario == RECORD.id


def test_the_model_beats_the_unigram_which_beats_chance(chat):
    of_model = perplexity(list(words_likelihood(chat, [RECORD]))).estimate.value
    of_unigram = perplexity(
        list(unigram_likelihood(load_corpus("train"), [RECORD], chat.tokenizer))
    ).estimate.value
    assert of_model < of_unigram < len(chat.tokenizer)


def test_copy_last_is_a_distribution_given_the_last_response(tokenizer):
    training, held_out = load_corpus("train")[:12], load_corpus("test")[:4]
    fitted = fit_copy_last(training, tokenizer)
    assert 0.01 < fitted.weight < 0.9
    response = tokenizer("The tent is dry.", add_special_tokens=False)["input_ids"]
    for last_response in (response, response[:1], []):
        probabilities = fitted.probabilities(last_response)
        assert probabilities.sum() == pytest.approx(1.0)
        assert probabilities.min() > 0
        assert probabilities.shape == (len(tokenizer),)
    assert fitted.probabilities(response)[response[1]] > fitted.probabilities([])[response[1]]

    by_unigram = list(unigram_likelihood(training, held_out, tokenizer))
    by_copy = list(copy_last_likelihood(training, held_out, tokenizer))
    assert [(item.scenario, item.tokens) for item in by_unigram] == [
        (item.scenario, item.tokens) for item in by_copy
    ]
    # People repeat words of the last response, so a little copying predicts them better, and
    # copying alone predicts them worse.
    nats = sum(item.nats for item in by_copy)
    assert nats < sum(item.nats for item in by_unigram)
    only_copy = CopyLast(fitted.unigram, 0.99).likelihood(held_out, tokenizer)
    assert nats < sum(item.nats for item in only_copy)


def test_the_last_turn_is_copied(tokenizer):
    words = "zebra quartz"
    ids = tokenizer(words, add_special_tokens=False)["input_ids"]
    echo = ScenarioRecord(
        **scenario().model_dump(),
        dialogues=(
            RecordedDialogue(
                id="d",
                turns=(
                    PersuadeeTurn(response=words),
                    PersuaderTurn(response=words),
                    PersuadeeTurn(response=words),
                    PersuaderTurn(response="something else"),
                    PersuadeeTurn(response=words),
                ),
            ),
        ),
    )
    uniform = np.full(len(tokenizer), 1 / len(tokenizer))
    (likelihood,) = CopyLast(uniform, 0.5).likelihood([echo], tokenizer)
    per_token = math.log(len(tokenizer))
    alone = (len(ids) + 1) * per_token  # with the end of the turn
    echoed = -sum(
        math.log(0.5 / len(tokenizer) + 0.5 * ids.count(token) / len(ids)) for token in ids
    )
    expected = alone + echoed + per_token + math.log(2) + alone + (len(ids) + 1) * math.log(2)
    assert likelihood.nats == pytest.approx(expected)

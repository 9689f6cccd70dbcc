"""Likelihood of recorded persuadees' words under learned users and two baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from persuade_env.dialogue import Dialogue, PersuaderTurn, ScenarioRecord
from persuade_env.llm.training.logprobs import IGNORED
from persuade_env.llm.training.lora import supervised_example
from persuade_env.text.normalize import one_line
from user_models.learned.prompt import user_messages
from user_models.reply_format import render_state

if TYPE_CHECKING:
    from persuade_env.llm.backends.transformers import TransformersChat


@dataclass(frozen=True)
class Likelihood:
    """The likelihood of one recorded dialogue's persuadee under a model.

    >>> Likelihood("art-001", nats=12.0, tokens=4).tokens
    4
    """

    scenario: str
    nats: float
    """Negative log-likelihood, summed over the tokens."""
    tokens: int


def words_likelihood(
    chat: TransformersChat,
    records: Sequence[ScenarioRecord],
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Likelihood]:
    """Yields the teacher-forced likelihood of each recorded dialogue.

    Only the persuadee's words count, each given all before it: scenario, earlier turns, and the
    recorded line of state. A data set without attitudes gives the neutral state
    ("4 continue polite"), the same for every model. Turns beyond `max_context_tokens` are left out.
    """
    for record in records:
        for recorded in record.dialogues:
            nats_and_tokens = _of_dialogue(chat, record.dialogue(recorded))
            progress(1)
            if nats_and_tokens is not None:
                yield Likelihood(record.id, *nats_and_tokens)


def _of_dialogue(chat: TransformersChat, dialogue: Dialogue) -> tuple[float, int] | None:
    import torch

    ids, labels = words_labels(dialogue, chat.tokenizer)
    ids, labels = ids[: chat.max_context_tokens], labels[: chat.max_context_tokens]
    positions = [position for position, label in enumerate(labels) if label != IGNORED]
    if not positions:
        return None
    device = chat.model.device
    with torch.inference_mode():
        output = chat.model(
            torch.tensor([ids], device=device),
            # The logits that predict a token are those at the position before it.
            logits_to_keep=torch.tensor([position - 1 for position in positions], device=device),
        )
        targets = torch.tensor([labels[position] for position in positions], device=device)
        nats = torch.nn.functional.cross_entropy(output.logits[0].float(), targets, reduction="sum")
    return float(nats), len(positions)


def unigram_likelihood(
    training: Sequence[ScenarioRecord], records: Sequence[ScenarioRecord], tokenizer: Any
) -> Iterator[Likelihood]:
    """The likelihood under a unigram model, the weakest baseline.

    Its counts are of the persuadees' tokens in `training`, with add-one smoothing.
    """
    return CopyLast(_unigram(training, tokenizer), 0.0).likelihood(records, tokenizer)


@dataclass(frozen=True)
class CopyLast:
    """A unigram model mixed with the persuader's last response, the weakest contextual baseline.

    p(token) = (1 - weight) * unigram(token) + weight * (share of the token in the persuader's last
    response). Without a last response, or if it is empty, the unigram model is used alone.

    >>> CopyLast(np.array([0.5, 0.5]), weight=0.5).probabilities([1]).tolist()
    [0.25, 0.75]
    """

    unigram: np.ndarray
    """Probabilities, (vocabulary,)."""
    weight: float
    """0 to below 1."""

    def probabilities(self, last_response: Sequence[int]) -> np.ndarray:
        """The probability of each token after a response, (vocabulary,).

        Args:
            last_response: token ids of the persuader's last response.
        """
        if not len(last_response):
            return self.unigram
        shares = np.bincount(last_response, minlength=len(self.unigram)) / len(last_response)
        return np.asarray((1 - self.weight) * self.unigram + self.weight * shares)

    def likelihood(self, records: Sequence[ScenarioRecord], tokenizer: Any) -> Iterator[Likelihood]:
        """Yields the likelihood of each recorded dialogue with persuadee turns."""
        for record in records:
            for recorded in record.dialogues:
                nats, tokens = 0.0, 0
                for last_response, answer in _exchanges(record.dialogue(recorded), tokenizer):
                    nats -= float(np.log(self.probabilities(last_response)[answer]).sum())
                    tokens += len(answer)
                if tokens:
                    yield Likelihood(record.id, nats, tokens)


def fit_copy_last(training: Sequence[ScenarioRecord], tokenizer: Any) -> CopyLast:
    """Fits the unigram model by counting and the weight by maximum likelihood.

    For the weight, each scenario's tokens are predicted from the counts of the other scenarios
    (leave-one-out): with its own counts the unigram model would be overrated.
    """
    from scipy.optimize import minimize_scalar

    counts = _counts(training, tokenizer)
    unigram_parts, copy_parts = [], []
    for record in training:
        others = counts - _counts([record], tokenizer) + 1
        others /= others.sum()
        for recorded in record.dialogues:
            for last_response, answer in _exchanges(record.dialogue(recorded), tokenizer):
                if len(last_response):
                    counted = np.bincount(last_response, minlength=len(others))
                    shares = counted / len(last_response)
                    unigram_parts.append(others[answer])
                    copy_parts.append(shares[answer])
    unigram = _unigram(training, tokenizer)
    if not unigram_parts:
        return CopyLast(unigram, 0.0)
    by_unigram, by_copy = np.concatenate(unigram_parts), np.concatenate(copy_parts)
    best = minimize_scalar(
        lambda weight: -float(np.log((1 - weight) * by_unigram + weight * by_copy).mean()),
        bounds=(0.0, 0.99),
        method="bounded",
    )
    return CopyLast(unigram, float(best.x))


def copy_last_likelihood(
    training: Sequence[ScenarioRecord], records: Sequence[ScenarioRecord], tokenizer: Any
) -> Iterator[Likelihood]:
    """The likelihood under `CopyLast`, fitted to `training`."""
    return fit_copy_last(training, tokenizer).likelihood(records, tokenizer)


def _unigram(records: Sequence[ScenarioRecord], tokenizer: Any) -> np.ndarray:
    counts = _counts(records, tokenizer) + 1
    return np.asarray(counts / counts.sum())


def _counts(records: Sequence[ScenarioRecord], tokenizer: Any) -> np.ndarray:
    counts = np.zeros(len(tokenizer))
    for record in records:
        for recorded in record.dialogues:
            for _, answer in _exchanges(record.dialogue(recorded), tokenizer):
                np.add.at(counts, answer, 1)
    return counts


def _exchanges(dialogue: Dialogue, tokenizer: Any) -> Iterator[tuple[list[int], list[int]]]:
    """Yields the token ids of the persuader's last response and of the persuadee turn after it."""
    _, labels = words_labels(dialogue, tokenizer)
    runs = groupby(labels, lambda label: label != IGNORED)
    answers = iter([list(run) for is_answer, run in runs if is_answer])
    last_response: list[int] = []
    for turn in dialogue.turns:
        if isinstance(turn, PersuaderTurn):
            words = one_line(turn.response)
            last_response = tokenizer(words, add_special_tokens=False)["input_ids"] if words else []
        elif (answer := next(answers, None)) is not None:
            yield last_response, answer


def words_labels(dialogue: Dialogue, tokenizer: Any) -> tuple[list[int], list[int]]:
    """The dialogue as token ids, and labels that are `IGNORED` except for the persuadee's words.

    The end token of a turn counts as a word; its line of state does not.
    """
    messages = user_messages(dialogue)
    own = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    if not own:
        return [], []
    example = supervised_example(tokenizer, messages[: own[-1] + 1], own)
    labels = list(example.labels)
    begins = [
        position
        for position, label in enumerate(labels)
        if label != IGNORED and labels[position - 1] == IGNORED
    ]
    for begin, turn in zip(begins, dialogue.persuadee_turns, strict=True):
        state = tokenizer(render_state(turn) + "\n", add_special_tokens=False)["input_ids"]
        if labels[begin : begin + len(state)] != state:
            raise ValueError("this tokenizer writes a state in another way when words follow it")
        labels[begin : begin + len(state)] = [IGNORED] * len(state)
    return example.input_ids, labels

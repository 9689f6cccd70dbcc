"""How likely a learned user finds what people said: the likelihood of recorded words."""

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
from user_models.learned.user import render_state, user_messages

if TYPE_CHECKING:
    from persuade_env.llm.backends.transformers import TransformersChat


@dataclass(frozen=True)
class Likelihood:
    """The words of one recorded dialogue's persuadee under a model."""

    scenario: str
    nats: float
    """Minus the log-likelihood, summed over the tokens."""
    tokens: int


def words_likelihood(
    chat: TransformersChat,
    records: Sequence[ScenarioRecord],
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Likelihood]:
    """One likelihood for each recorded dialogue, teacher-forced.

    Only the persuadee's words count, each given all before it: scenario, earlier turns, and its own
    line of state as recorded. A data set without attitudes gives the neutral state
    ("4 continue polite"), the same for every model. Turns beyond `max_context_tokens` are left out.
    """
    for record in records:
        for recorded in record.dialogues:
            found = _of_dialogue(chat, record.dialogue(recorded))
            progress(1)
            if found is not None:
                yield Likelihood(record.id, *found)


def _of_dialogue(chat: TransformersChat, dialogue: Dialogue) -> tuple[float, int] | None:
    import torch

    ids, labels = words_labels(dialogue, chat.tokenizer)
    ids, labels = ids[: chat.max_context_tokens], labels[: chat.max_context_tokens]
    places = [place for place, label in enumerate(labels) if label != IGNORED]
    if not places:
        return None
    device = chat.model.device
    with torch.inference_mode():
        output = chat.model(
            torch.tensor([ids], device=device),
            # What predicts a token stands one before it.
            logits_to_keep=torch.tensor([place - 1 for place in places], device=device),
        )
        targets = torch.tensor([labels[place] for place in places], device=device)
        nats = torch.nn.functional.cross_entropy(output.logits[0].float(), targets, reduction="sum")
    return float(nats), len(places)


def unigram_likelihood(
    training: Sequence[ScenarioRecord], records: Sequence[ScenarioRecord], tokenizer: Any
) -> Iterator[Likelihood]:
    """What knows only how often each token is said: the least a user model has to beat.

    Counts are of the persuadees' words in `training`, one added to each token of the vocabulary.
    """
    return CopyLast(_unigram(training, tokenizer), 0.0).likelihood(records, tokenizer)


@dataclass(frozen=True)
class CopyLast:
    """Word frequencies mixed with a copy of what was just said: the least that heeds its context.

    p(token) = (1 - weight) * unigram(token) + weight * (share of the token in the persuader's last
    response). Where that is silent, or the persuadee opens, the unigram alone speaks.
    """

    unigram: np.ndarray
    """Probabilities, (vocabulary,)."""
    weight: float
    """0 to below 1."""

    def probabilities(self, heard: Sequence[int]) -> np.ndarray:
        """Of every token after this response of the persuader, (vocabulary,); they add up to 1."""
        if not len(heard):
            return self.unigram
        shares = np.bincount(heard, minlength=len(self.unigram)) / len(heard)
        return np.asarray((1 - self.weight) * self.unigram + self.weight * shares)

    def likelihood(self, records: Sequence[ScenarioRecord], tokenizer: Any) -> Iterator[Likelihood]:
        """One likelihood for each recorded dialogue in which the persuadee speaks."""
        for record in records:
            for recorded in record.dialogues:
                nats, tokens = 0.0, 0
                for heard, said in _exchanges(record.dialogue(recorded), tokenizer):
                    nats -= float(np.log(self.probabilities(heard)[said]).sum())
                    tokens += len(said)
                if tokens:
                    yield Likelihood(record.id, nats, tokens)


def fit_copy_last(training: Sequence[ScenarioRecord], tokenizer: Any) -> CopyLast:
    """Counts as for the unigram; the weight that makes `training` likeliest.

    For the weight each scenario's words are held against the counts of the others: against its
    own the unigram would look better than it is on new scenarios.
    """
    from scipy.optimize import minimize_scalar

    counts = _counts(training, tokenizer)
    frequent, copied = [], []
    for record in training:
        others = counts - _counts([record], tokenizer) + 1
        others /= others.sum()
        for recorded in record.dialogues:
            for heard, said in _exchanges(record.dialogue(recorded), tokenizer):
                if len(heard):
                    shares = np.bincount(heard, minlength=len(others)) / len(heard)
                    frequent.append(others[said])
                    copied.append(shares[said])
    unigram = _unigram(training, tokenizer)
    if not frequent:
        return CopyLast(unigram, 0.0)
    plain, copy = np.concatenate(frequent), np.concatenate(copied)
    best = minimize_scalar(
        lambda weight: -float(np.log((1 - weight) * plain + weight * copy).mean()),
        bounds=(0.0, 0.99),
        method="bounded",
    )
    return CopyLast(unigram, float(best.x))


def copy_last_likelihood(
    training: Sequence[ScenarioRecord], records: Sequence[ScenarioRecord], tokenizer: Any
) -> Iterator[Likelihood]:
    """See `CopyLast`."""
    return fit_copy_last(training, tokenizer).likelihood(records, tokenizer)


def _unigram(records: Sequence[ScenarioRecord], tokenizer: Any) -> np.ndarray:
    counts = _counts(records, tokenizer) + 1
    return np.asarray(counts / counts.sum())


def _counts(records: Sequence[ScenarioRecord], tokenizer: Any) -> np.ndarray:
    counts = np.zeros(len(tokenizer))
    for record in records:
        for recorded in record.dialogues:
            for _, said in _exchanges(record.dialogue(recorded), tokenizer):
                np.add.at(counts, said, 1)
    return counts


def _exchanges(dialogue: Dialogue, tokenizer: Any) -> Iterator[tuple[list[int], list[int]]]:
    """Token ids of each persuadee turn, after those of the persuader turn it answers."""
    _, labels = words_labels(dialogue, tokenizer)
    said = [list(run) for spoken, run in groupby(labels, lambda label: label != IGNORED) if spoken]
    heard: list[int] = []
    turns = iter(said)
    for turn in dialogue.turns:
        if isinstance(turn, PersuaderTurn):
            words = one_line(turn.response)
            heard = tokenizer(words, add_special_tokens=False)["input_ids"] if words else []
        elif (tokens := next(turns, None)) is not None:
            yield heard, tokens


def words_labels(dialogue: Dialogue, tokenizer: Any) -> tuple[list[int], list[int]]:
    """The dialogue as token ids, and labels that are `IGNORED` but for the persuadee's words.

    The end of a turn counts as a word; its line of state does not.
    """
    messages = user_messages(dialogue)
    own = [index for index, one in enumerate(messages) if one["role"] == "assistant"]
    if not own:
        return [], []
    example = supervised_example(tokenizer, messages[: own[-1] + 1], own)
    labels = list(example.labels)
    begins = [
        place
        for place, label in enumerate(labels)
        if label != IGNORED and labels[place - 1] == IGNORED
    ]
    for begin, turn in zip(begins, dialogue.persuadee_turns, strict=True):
        state = tokenizer(render_state(turn) + "\n", add_special_tokens=False)["input_ids"]
        if labels[begin : begin + len(state)] != state:
            raise ValueError("this tokenizer writes a state in another way when words follow it")
        labels[begin : begin + len(state)] = [IGNORED] * len(state)
    return example.input_ids, labels

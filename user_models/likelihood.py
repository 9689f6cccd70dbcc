"""How likely a learned user finds what people said: the likelihood of recorded words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from persuade_env.chat.lora import supervised_example
from persuade_env.chat.scoring import IGNORED
from persuade_env.dialogue import Dialogue, ScenarioRecord
from user_models.learned import render_state, user_messages

if TYPE_CHECKING:
    from persuade_env.chat.transformers import TransformersChat


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
    counts = np.ones(len(tokenizer))
    for _, tokens in _words(training, tokenizer):
        np.add.at(counts, tokens, 1)
    nats = -np.log(counts / counts.sum())
    for scenario, tokens in _words(records, tokenizer):
        yield Likelihood(scenario, float(nats[tokens].sum()), len(tokens))


def _words(records: Sequence[ScenarioRecord], tokenizer: Any) -> Iterator[tuple[str, list[int]]]:
    for record in records:
        for recorded in record.dialogues:
            _, labels = words_labels(record.dialogue(recorded), tokenizer)
            tokens = [label for label in labels if label != IGNORED]
            if tokens:
                yield record.id, tokens


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

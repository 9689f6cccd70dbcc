"""A recorded dialogue and negative examples of it, as one row of tokens.

A negative example (`user_models.learned.training.examples.negative_turn`) differs from its dialogue
in the last turn alone. It stands behind the dialogue in the same row, with the positions of the
turn that it replaces, and attends to what was said before that turn and to itself, so that no
dialogue is read twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from persuade_env.dialogue import PersuadeeTurn, PersuaderTurn, RecordedDialogue, ScenarioRecord
from persuade_env.llm.chat_template import encode_chat
from user_models.learned.features import has_concerns
from user_models.learned.prompt import encoder_messages
from user_models.learned.training.config import AttitudeRegressorSettings
from user_models.learned.training.examples import negative_turn, until

_NEGATIVE_WEIGHT = 0.5
"""Of a negative example's squared error; a recorded step's counts 1."""


@dataclass(frozen=True)
class Row:
    """One dialogue with its negative examples, as a row of tokens.

    >>> Row((5, 6), (0, 1), ((0, 2, 2),), (1,), (0.5,), (1.0,)).targets
    (0.5,)
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    """Of each token in its own dialogue."""
    segments: tuple[tuple[int, int, int], ...]
    """First and last index (exclusive) of the dialogue and of each negative example, and how many
    of the dialogue's first tokens it attends to beside its own."""
    read: tuple[int, ...]
    """Where the hidden state is read: the end of each persuader turn."""
    targets: tuple[float, ...]
    """The step that each is to predict, in Likert points."""
    weights: tuple[float, ...]


def training_row(
    record: ScenarioRecord,
    recorded: RecordedDialogue,
    foreign: Sequence[PersuaderTurn],
    tokenizer: Any,
    rng: np.random.Generator,
    settings: AttitudeRegressorSettings,
) -> Row | None:
    """The row of a recorded dialogue; None where nothing can be learned from it.

    A dialogue of more than `lora.max_tokens` is left out, as is a negative example for which no
    room is left.

    Args:
        record: its scenario.
        recorded: the dialogue.
        foreign: persuader turns of other scenarios.
        tokenizer: of the model.
        rng: draws the negative examples.
        settings: their share and step, and the longest row.
    """
    whole = record.dialogue(recorded)
    if not has_concerns(whole):
        return None
    ids = encode_chat(tokenizer, encoder_messages(whole), reply_follows=False)
    if len(ids) > settings.lora.max_tokens:
        return None
    length = len(ids)
    positions, segments = list(range(length)), [(0, length, 0)]
    read, targets, weights = [], [], []
    attitude = whole.scenario.initial_attitude
    for index, turn in enumerate(whole.turns):
        if not isinstance(turn, PersuadeeTurn) or turn.attitude is None or not index:
            continue
        read.append(len(encode_chat(tokenizer, encoder_messages(until(whole, index)))) - 1)
        targets.append(turn.attitude - attitude)
        weights.append(1.0)
        attitude = turn.attitude
        if rng.random() >= settings.negative_share:
            continue
        replaced = until(whole, index, negative_turn(whole.turns[:index], foreign, rng))
        negative = encode_chat(tokenizer, encoder_messages(replaced))
        shared = _shared(ids, negative)
        longer = len(ids) + len(negative) - shared
        if longer > settings.lora.max_tokens or shared == len(negative):
            continue
        segments.append((len(ids), longer, shared))
        ids += negative[shared:]
        positions += range(shared, len(negative))
        read.append(len(ids) - 1)
        targets.append(settings.negative_step)
        weights.append(_NEGATIVE_WEIGHT)
    if not read:
        return None
    return Row(
        tuple(ids), tuple(positions), tuple(segments), tuple(read), tuple(targets), tuple(weights)
    )


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids both begin with."""
    return next(
        (index for index, (a, b) in enumerate(zip(first, second, strict=False)) if a != b),
        min(len(first), len(second)),
    )


def attends(row: Row) -> Any:
    """Which token attends to which, a boolean tensor (n, n)."""
    import torch

    mask = torch.zeros(len(row.ids), len(row.ids), dtype=torch.bool)
    for begin, end, shared in row.segments:
        mask[begin:end, begin:end] = torch.ones(end - begin, end - begin, dtype=torch.bool).tril()
        mask[begin:end, :shared] = True
    return mask

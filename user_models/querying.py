"""Queries a user model for replies in batches, and lists the recorded turns to query it at."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from persuade_env.dialogue import Dialogue, PersuadeeTurn, ScenarioRecord
from persuade_env.protocols import UserModel, UserReply, user_view

Progress = Callable[[int], None]
"""Called with the number of replies that were just obtained."""

_BATCH = 32


def recorded_answers(
    records: Sequence[ScenarioRecord],
) -> list[tuple[ScenarioRecord, PersuadeeTurn, Dialogue]]:
    """Every recorded persuadee turn but a first one, with its record and the dialogue before it.

    >>> recorded_answers([])
    []
    """
    return [
        (record, turn, record.dialogue(recorded, until=index))
        for record in records
        for recorded in record.dialogues
        for index, turn in enumerate(recorded.turns)
        if isinstance(turn, PersuadeeTurn) and index
    ]


def ask(
    user_model: UserModel,
    dialogues: Sequence[Dialogue],
    seeds: Sequence[int],
    progress: Progress,
) -> list[UserReply]:
    """The user model's replies to these dialogues, reduced to what a user may see.

    Args:
        user_model: to query.
        dialogues: each ends with a persuader turn.
        seeds: one for each dialogue.
        progress: called after each batch.
    """
    replies: list[UserReply] = []
    for start in range(0, len(dialogues), _BATCH):
        batch = slice(start, start + _BATCH)
        views = [user_view(dialogue) for dialogue in dialogues[batch]]
        replies += user_model.reply(views, seeds[batch])
        progress(len(views))
    return replies

"""Asks a user model for replies, many at a time, and finds the recorded turns to ask about."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from persuade_env.dialogue import Dialogue, PersuadeeTurn, ScenarioRecord
from persuade_env.protocols import UserModel, UserReply, user_view

Progress = Callable[[int], None]
"""Told how many replies were just asked for."""

_BATCH = 32


def answers(
    records: Sequence[ScenarioRecord],
) -> list[tuple[ScenarioRecord, PersuadeeTurn, Dialogue]]:
    """Every recorded persuadee turn that answers something, and the dialogue up to it."""
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
    """The user model's replies to these dialogues, as it hears them, some at a time."""
    replies: list[UserReply] = []
    for start in range(0, len(dialogues), _BATCH):
        part = slice(start, start + _BATCH)
        views = [user_view(dialogue) for dialogue in dialogues[part]]
        replies += user_model.reply(views, seeds[part])
        progress(len(views))
    return replies

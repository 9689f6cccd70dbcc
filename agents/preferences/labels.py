"""Labels of persuader turns: what a user would feel after each, without words where it can."""

from __future__ import annotations

import math
from collections.abc import Sequence

from persuade_env.dialogue import Dialogue
from persuade_env.errors import UserModelError
from persuade_env.protocols import AttitudeUser, UserModel, user_view


def label_attitudes(
    user_model: UserModel, dialogues: Sequence[Dialogue], seeds: Sequence[int]
) -> list[float]:
    """The user's attitude after the last persuader turn of each dialogue.

    A user that is an `AttitudeUser` drafts no words for it. Where it has no attitude without words,
    and for any other user, a whole reply is asked for.

    Args:
        user_model: who is asked.
        dialogues: n dialogues, each ending in a persuader turn.
        seeds: n seeds of replies; without effect where no words are needed.

    Returns:
        n attitudes, 1 to 7; NaN where the user failed or has none.
    """
    views = [user_view(dialogue) for dialogue in dialogues]
    attitudes = _without_words(user_model, views)
    unknown = [index for index, attitude in enumerate(attitudes) if math.isnan(attitude)]
    if unknown:
        replies = user_model.reply(
            [views[index] for index in unknown], [seeds[index] for index in unknown]
        )
        for index, reply in zip(unknown, replies, strict=True):
            if reply.turn is not None and reply.turn.attitude is not None:
                attitudes[index] = reply.turn.attitude
    return attitudes


def _without_words(user_model: UserModel, views: Sequence[Dialogue]) -> list[float]:
    if views and isinstance(user_model, AttitudeUser):
        try:
            return list(user_model.attitudes(views))
        except UserModelError:  # an ensemble with a member that has to speak
            pass
    return [math.nan] * len(views)

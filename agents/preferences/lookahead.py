"""Looks ahead: how a dialogue would go on after a candidate turn.

A look-ahead is an episode that begins with a given persuader turn and goes on for a few turns, in
the same loop as any other (`persuade_env.rollout`).
"""

from __future__ import annotations

from collections.abc import Sequence

from persuade_env.dialogue import Dialogue
from persuade_env.episode import Episode, start_from
from persuade_env.protocols import Persuader, PersuaderReply, UserModel
from persuade_env.rewards import Reward
from persuade_env.rollout import acting, play


def look_ahead(
    dialogues: Sequence[Dialogue],
    replies: Sequence[PersuaderReply],
    seeds: Sequence[int],
    persuader: Persuader,
    user_model: UserModel,
    *,
    depth: int,
    max_turns: int | None = None,
    reward: Reward | None = None,
) -> list[Episode]:
    """Plays on from each dialogue with the given reply, until an end or `depth` persuader turns.

    All of them go through the models in the same batches.

    Args:
        dialogues: n dialogues in which the persuader has to speak.
        replies: n replies to go on with; one that is an error makes its episode invalid.
        seeds: n seeds of what follows; equal ones make comparisons of replies rather than of luck.
        persuader: speaks after the given reply.
        user_model: answers.
        depth: persuader turns, the given reply included.
        max_turns: persuader turns at which a dialogue ends, those before the reply included; None
            for no limit but `depth`. The given reply is always said.
        reward: what turns are worth; attitude gain and outcome by default.

    Returns:
        n episodes, all done; their turns are counted from the given reply.
    """
    go_on = acting(persuader)

    def act(indices: Sequence[int], episodes: Sequence[Episode]) -> list[PersuaderReply]:
        # All episodes are at the same turn: they started together.
        if episodes[0].turn == 0:
            return [replies[index] for index in indices]
        return go_on(indices, episodes)

    episodes = [start_from(dialogue, seed) for dialogue, seed in zip(dialogues, seeds, strict=True)]
    limits = [
        depth
        if max_turns is None
        else max(1, min(depth, max_turns - len(dialogue.persuader_turns)))
        for dialogue in dialogues
    ]
    return play(episodes, act, user_model, reward=reward, max_turns=limits)

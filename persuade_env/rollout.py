"""The loop that plays turns: the only one of the suite.

Benchmarks, look-ahead, scripted probes and the trainers' rollouts all go through `play`, so
batching, seeds and what an error costs are decided in one place. It runs in this process and
takes turns in step: each round asks the persuader once and the user model once, for all
episodes that are still going on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from persuade_env.dialogue import PersuaderTurn, Scenario
from persuade_env.episode import DEFAULT_MAX_TURNS, Episode, raised, start, step
from persuade_env.errors import PersuadeError, PersuaderError
from persuade_env.protocols import (
    Persuader,
    PersuaderReply,
    UserModel,
    UserReply,
    persuader_view,
)
from persuade_env.rewards import Reward, default_reward
from persuade_env.seeding import derive_seed

Act = Callable[[Sequence[int], Sequence[Episode]], list[PersuaderReply]]
"""The persuader's side of a round: given the positions of n running episodes and these episodes
themselves, n replies."""


class OnTurn(Protocol):
    """Called after each turn of each episode, in order of time."""

    def __call__(self, index: int, reply: PersuaderReply, episode: Episode) -> None:
        """Takes the episode's position, the persuader's reply, and the episode after it."""
        ...


def play(
    episodes: Sequence[Episode],
    act: Act,
    user_model: UserModel,
    *,
    reward: Reward | None = None,
    max_turns: int | Sequence[int] = DEFAULT_MAX_TURNS,
    user_seed: Callable[[int, Episode], int] | None = None,
    edit_reply: Callable[[int, UserReply], UserReply] | None = None,
    on_turn: OnTurn | None = None,
) -> list[Episode]:
    """Plays every episode to its end, all side by side; finished ones drop out.

    Args:
        episodes: n episodes; those that are done are left as they are.
        act: gives the persuader's replies; see `acting` for a persuader's.
        user_model: answers; an error in one reply ends its own episode as invalid.
        reward: what turns are worth; attitude gain and outcome by default.
        max_turns: persuader turns of an undecided episode, one number for all or n.
        user_seed: seed of the answer, from an episode's position and the episode before it.
        edit_reply: what takes the place of an answer, from an episode's position and the answer.
        on_turn: called after each turn.

    Returns:
        n episodes, all done, in order.

    Raises:
        PersuaderError: if the persuader has a bug, that is, raises anything but a `PersuadeError`
            or gives no list of replies; it says what and where.
        UserModelError: the same of the user model.
    """
    reward = reward or default_reward()
    played = list(episodes)
    limits = [max_turns] * len(played) if isinstance(max_turns, int) else list(max_turns)
    while running := [index for index, episode in enumerate(played) if not episode.done]:
        current = [played[index] for index in running]
        try:
            replies = act(running, current)
        except PersuadeError as error:
            replies = [PersuaderReply(error=error)] * len(current)
        except ModuleNotFoundError:  # an extra is missing, which the command says
            raise
        except Exception as error:
            raise PersuaderError(raised("the persuader's act", error)) from error
        replies = _checked(replies, len(current))
        seeds = (
            None if user_seed is None else [user_seed(index, played[index]) for index in running]
        )
        moved = step(
            current,
            replies,
            user_model,
            reward,
            [limits[index] for index in running],
            seeds,
            _at_positions(edit_reply, running),
        )
        for index, reply, episode in zip(running, replies, moved, strict=True):
            played[index] = episode
            if on_turn is not None:
                on_turn(index, reply, episode)
    return played


def _checked(replies: Sequence[PersuaderReply | str], count: int) -> list[PersuaderReply]:
    """The persuader's replies, if they are what its contract says; plain text is speech.

    Raises:
        PersuaderError: if there are too few or too many, or one is something else.
    """
    is_list = isinstance(replies, Sequence) and not isinstance(replies, str)
    if not is_list or len(replies) != count:
        number = len(replies) if is_list else type(replies).__name__
        raise PersuaderError(
            f"asked for {count} turns, the persuader's act(dialogues, seeds) gave {number}; it has "
            "to return a list with one PersuaderReply, or a text, for each dialogue"
        )
    checked = []
    for reply in replies:
        if isinstance(reply, str):
            reply = PersuaderReply(turn=PersuaderTurn(response=reply))
        if not isinstance(reply, PersuaderReply):
            raise PersuaderError(
                f"the persuader's act(dialogues, seeds) gave a {type(reply).__name__}; write "
                "PersuaderReply(turn=PersuaderTurn(response=...)), or a plain text"
            )
        checked.append(reply)
    return checked


def _at_positions(
    edit_reply: Callable[[int, UserReply], UserReply] | None, running: Sequence[int]
) -> Callable[[int, UserReply], UserReply] | None:
    """The function for the running episodes, told their positions among all."""
    if edit_reply is None:
        return None
    return lambda number, reply: edit_reply(running[number], reply)


def acting(persuader: Persuader) -> Act:
    """A persuader as `play` wants it: it sees its own view, and gets the episode's seeds."""

    def act(_: Sequence[int], episodes: Sequence[Episode]) -> list[PersuaderReply]:
        return persuader.act(
            [persuader_view(episode.dialogue) for episode in episodes],
            [derive_seed(episode.seed, "persuader", episode.turn) for episode in episodes],
        )

    return act


def rollout(
    persuader: Persuader,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    seeds: Sequence[int],
    *,
    reward: Reward | None = None,
    max_turns: int = DEFAULT_MAX_TURNS,
) -> list[Episode]:
    """Plays one dialogue per scenario to its end, all side by side.

    Args:
        persuader: speaks first.
        user_model: answers.
        scenarios: n scenarios; the same one may occur more than once.
        seeds: n episode seeds.
        reward: what turns are worth; attitude gain and outcome by default.
        max_turns: persuader turns after which an undecided dialogue is truncated.

    Returns:
        n episodes, all done, in order.
    """
    episodes = [start(scenario, seed) for scenario, seed in zip(scenarios, seeds, strict=True)]
    return play(episodes, acting(persuader), user_model, reward=reward, max_turns=max_turns)

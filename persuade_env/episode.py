"""An episode as a value, and the functions that move a batch of them forward.

The environments, the benchmark and the trainers all go through here, so there is one
answer to what a step is.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from persuade_env.dialogue import Decision, Dialogue, Outcome, Scenario
from persuade_env.errors import PersuadeError, UserModelError
from persuade_env.protocols import (
    PersuaderReply,
    Usage,
    UserModel,
    UserReply,
    user_view,
)
from persuade_env.rewards import Reward, Transition
from persuade_env.seeding import derive_seed
from persuade_env.spec import hide_password
from persuade_env.text.normalize import one_line

_MAX_MESSAGE = 300
"""Characters of a stored error message; a server's page of HTML is cut."""
DEFAULT_MAX_TURNS = 6
"""Persuader turns after which an undecided dialogue is truncated."""


class EpisodeStop(StrEnum):
    """Why an episode ended."""

    NONE = ""
    """It has not."""
    ACCEPTED = "accepted"
    """The persuadee agreed to the goal."""
    REFUSED = "refused"
    """The persuadee refused and ended the dialogue."""
    MAX_TURNS = "max_turns"
    """The persuader used up `max_turns`."""
    ERROR = "error"
    """The user model or the persuader failed; the episode is invalid."""


@dataclass(frozen=True)
class Episode:
    """A dialogue under way or ended, with what it earned and cost."""

    dialogue: Dialogue
    seed: int
    stop: EpisodeStop = EpisodeStop.NONE
    error_kind: str = ""
    error: str = ""
    """What the user model or the persuader failed by, in words; empty in a valid episode."""
    reward_terms: tuple[Mapping[str, float], ...] = ()
    """Weighted terms per persuader turn."""
    malformed_turns: int = 0
    user_usage: Usage = field(default_factory=Usage)
    persuader_usage: Usage = field(default_factory=Usage)

    @property
    def scenario(self) -> Scenario:
        """What it is about."""
        return self.dialogue.scenario

    @property
    def turn(self) -> int:
        """Persuader turns so far."""
        return len(self.reward_terms)

    @property
    def done(self) -> bool:
        """Whether it has ended, for whatever reason."""
        return self.stop is not EpisodeStop.NONE

    @property
    def valid(self) -> bool:
        """False if the user model or the persuader failed; such episodes teach nothing."""
        return self.stop is not EpisodeStop.ERROR

    @property
    def terminated(self) -> bool:
        """Ended by the persuadee's decision."""
        return self.stop in (EpisodeStop.ACCEPTED, EpisodeStop.REFUSED)

    @property
    def truncated(self) -> bool:
        """Ended by the turn limit or a failure."""
        return self.stop in (EpisodeStop.MAX_TURNS, EpisodeStop.ERROR)

    @property
    def outcome(self) -> Outcome:
        """`accepted` or `refused` by the last decision, else `undecided`."""
        return self.dialogue.outcome

    @property
    def attitude_gain(self) -> float:
        """Latest attitude minus the initial one, in Likert points: -6 to 6."""
        return self.dialogue.attitude - self.scenario.initial_attitude

    @property
    def reward(self) -> float:
        """Reward of the last turn."""
        return sum(self.reward_terms[-1].values()) if self.reward_terms else 0.0

    @property
    def episode_return(self) -> float:
        """Sum of all rewards."""
        return sum(sum(terms.values()) for terms in self.reward_terms)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON from which `from_json` makes an equal episode."""
        return {
            "dialogue": self.dialogue.model_dump(mode="json"),
            "seed": self.seed,
            "stop": self.stop.value,
            "error_kind": self.error_kind,
            "error": self.error,
            "reward_terms": [dict(terms) for terms in self.reward_terms],
            "malformed_turns": self.malformed_turns,
            "user_usage": asdict(self.user_usage),
            "persuader_usage": asdict(self.persuader_usage),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Episode:
        """The episode that `to_json` made this of."""
        return cls(
            dialogue=Dialogue.model_validate(data["dialogue"]),
            seed=data["seed"],
            stop=EpisodeStop(data["stop"]),
            error_kind=data["error_kind"],
            error=data.get("error", ""),
            reward_terms=tuple(data["reward_terms"]),
            malformed_turns=data["malformed_turns"],
            user_usage=Usage(**data["user_usage"]),
            persuader_usage=Usage(**data["persuader_usage"]),
        )


def start(scenario: Scenario, seed: int) -> Episode:
    """A new episode in which nothing has been said."""
    return start_from(Dialogue(scenario=scenario), seed)


def start_from(dialogue: Dialogue, seed: int) -> Episode:
    """A new episode that goes on from what was said; its turns are counted from here."""
    return Episode(dialogue, seed)


def step(
    episodes: Sequence[Episode],
    replies: Sequence[PersuaderReply],
    user_model: UserModel,
    reward: Reward,
    max_turns: int | Sequence[int] = DEFAULT_MAX_TURNS,
    user_seeds: Sequence[int] | None = None,
    edit_reply: Callable[[int, UserReply], UserReply] | None = None,
) -> list[Episode]:
    """Every episode after its persuader's turn and the persuadee's answer to it.

    The user model is called once, for all episodes whose persuader gave a turn. An error
    in a reply, of either side, ends that episode as invalid and leaves the rest alone; a
    `PersuadeError` that the user model raises invalidates all that it was asked for. Any other
    exception of its is a bug, and so is a reply of another type or too few of them.

    Args:
        episodes: n episodes, none of them done.
        replies: n persuader replies.
        user_model: asked for the answers.
        reward: what a turn is worth.
        max_turns: persuader turns after which an undecided episode is truncated, one number for
            all or n.
        user_seeds: n seeds for the answers; by default each episode's own for this turn.
        edit_reply: what takes the place of an answer, given its position and the answer itself:
            for probes that put recorded words, or no decision, into the dialogue.

    Raises:
        UserModelError: if the user model has a bug; it says what and where.
    """
    if any(episode.done for episode in episodes):
        raise ValueError("an episode that is done can't be stepped")
    if user_seeds is None:
        user_seeds = [derive_seed(episode.seed, "user", episode.turn) for episode in episodes]
    limits = [max_turns] * len(episodes) if isinstance(max_turns, int) else max_turns
    dialogues = [
        episode.dialogue if reply.turn is None else episode.dialogue.extended(reply.turn)
        for episode, reply in zip(episodes, replies, strict=True)
    ]
    spoken = [index for index, reply in enumerate(replies) if reply.turn is not None]
    answers: list[UserReply | None] = [None] * len(episodes)
    for index, answer in zip(
        spoken,
        _ask(
            user_model,
            [dialogues[index] for index in spoken],
            [user_seeds[index] for index in spoken],
        ),
        strict=True,
    ):
        answers[index] = edit_reply(index, answer) if edit_reply is not None else answer
    return [
        _moved(*each)
        for each in zip(
            episodes, replies, dialogues, answers, [reward] * len(episodes), limits, strict=True
        )
    ]


def _ask(
    user_model: UserModel, dialogues: Sequence[Dialogue], seeds: Sequence[int]
) -> list[UserReply]:
    if not dialogues:
        return []
    try:
        answers = user_model.reply([user_view(dialogue) for dialogue in dialogues], seeds)
    except PersuadeError as error:
        return [UserReply(error=error)] * len(dialogues)
    except ModuleNotFoundError:  # an extra is missing, which the command says
        raise
    except Exception as error:
        raise UserModelError(raised("the user model's reply", error)) from error
    is_list = isinstance(answers, Sequence) and not isinstance(answers, str)
    if not is_list or len(answers) != len(dialogues):
        number = len(answers) if is_list else type(answers).__name__
        raise UserModelError(
            f"asked for {len(dialogues)} replies, the user model gave {number}; reply(dialogues, "
            "seeds) has to return a list with one UserReply for each dialogue"
        )
    for answer in answers:
        if not isinstance(answer, UserReply):
            raise UserModelError(
                f"the user model's reply(dialogues, seeds) gave a {type(answer).__name__}; write "
                "UserReply(turn=PersuadeeTurn(attitude=..., response=...))"
            )
    return answers


def raised(what: str, error: Exception) -> str:
    """One line about an exception in somebody's own code: what it was, and where.

    A bug is no failed dialogue: it ends the run at once, before more is spent on it.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{what} raised {type(error).__name__}: {_one_line(str(error))}{place}"


def _moved(
    episode: Episode,
    reply: PersuaderReply,
    spoken: Dialogue,
    answer: UserReply | None,
    reward: Reward,
    max_turns: int,
) -> Episode:
    """The episode with the persuader's turn in it and the answer, None where none was asked for."""
    if answer is None or answer.turn is None:
        dialogue = spoken
        terms = reward.zero()
        failure = (answer or reply).error
        stop, error_kind, error = EpisodeStop.ERROR, _kind(failure), _message(failure)
    else:
        dialogue = spoken.extended(answer.turn)
        terms = reward.terms(Transition(episode.dialogue, dialogue, reply.malformed))
        stop, error_kind, error = _STOP_OF[answer.turn.decision], "", ""
        if stop is EpisodeStop.NONE and episode.turn + 1 >= max_turns:
            stop = EpisodeStop.MAX_TURNS
    return Episode(
        dialogue,
        episode.seed,
        stop,
        error_kind,
        error,
        reward_terms=(*episode.reward_terms, terms),
        malformed_turns=episode.malformed_turns + reply.malformed,
        user_usage=episode.user_usage + answer.usage if answer else episode.user_usage,
        persuader_usage=episode.persuader_usage + reply.usage,
    )


_STOP_OF = {
    Decision.CONTINUE: EpisodeStop.NONE,
    Decision.ACCEPT: EpisodeStop.ACCEPTED,
    Decision.REFUSE: EpisodeStop.REFUSED,
}


def _kind(error: PersuadeError | None) -> str:
    return error.kind if error else "error"


def _message(error: PersuadeError | None) -> str:
    """An error's message in one line; a server's may be long, and name a URL with its password."""
    return _one_line(str(error or ""))


def _one_line(message: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in message)
    text = hide_password(one_line(printable))
    return text if len(text) <= _MAX_MESSAGE else text[: _MAX_MESSAGE - 1] + "…"

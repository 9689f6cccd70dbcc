"""Rewards: a weighted sum of named terms, each a function of one turn and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from persuade_env.dialogue import MAX_ATTITUDE, MIN_ATTITUDE, Dialogue, Outcome
from persuade_env.registry import REWARD_TERMS
from persuade_env.safety.misconduct import detect_misconduct


@dataclass(frozen=True)
class Transition:
    """One persuader turn and the answer to it."""

    before: Dialogue
    after: Dialogue
    malformed: bool = False


Term = Callable[[Transition], float]
"""A reward term: a number for one persuader turn and the answer to it."""


def reward_term(name: str) -> Term:
    """The reward term of that name, an entry point or `module:function`.

    Raises:
        UnknownNameError: if there is none; it lists what exists.
    """
    term: Term = REWARD_TERMS.target(name)
    return term


def attitude_gain(transition: Transition) -> float:
    """Change of attitude in this turn as a share of the scale: -1 to 1."""
    change = transition.after.attitude - transition.before.attitude
    return change / (MAX_ATTITUDE - MIN_ATTITUDE)


def outcome(transition: Transition) -> float:
    """1 for `accepted`, -1 for `refused`, 0 while undecided."""
    return _WORTH[transition.after.outcome]


_WORTH = {Outcome.ACCEPTED: 1.0, Outcome.REFUSED: -1.0, Outcome.UNDECIDED: 0.0}


def malformed(transition: Transition) -> float:
    """-1 for a turn that attempted the intent-to-strategy format and failed."""
    return -1.0 if transition.malformed else 0.0


def words(transition: Transition) -> float:
    """Minus the words said in this turn, in hundreds: length is the cheap way to win."""
    said = transition.after.persuader_turns[-1].response
    return -len(said.split()) / 100.0


def misconduct_penalty(transition: Transition) -> float:
    """-1 for a turn with misconduct of any kind (`persuade_env.safety.misconduct`), else 0."""
    return -1.0 if detect_misconduct(transition.after) else 0.0


DEFAULT_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"attitude_gain": float(MAX_ATTITUDE - MIN_ATTITUDE), "outcome": 0.5}
)
"""A Likert point is worth 1. With weight 1 each, outcomes would vary so much more than gains that
what is learned is to avoid refusals, rather than to convince."""


@dataclass(frozen=True)
class Reward:
    """A weighted sum of named terms.

    Args:
        weights: by name. A term is an entry point in the group `persuade_env.reward_terms`
            (`attitude_gain`, `outcome`, `malformed`, `words`, `conduct` ship) or
            `module:function`: any function of a `Transition` that gives a number.

    Raises:
        UnknownNameError: if there is no term of a name; it lists what exists.

    >>> Reward({"attitude_gain": 1.0, "words": 0.1}).weights["words"]
    0.1
    """

    weights: Mapping[str, float]
    _functions: Mapping[str, Term] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        functions = {name: reward_term(name) for name in self.weights}
        object.__setattr__(self, "_functions", functions)

    def terms(self, transition: Transition) -> dict[str, float]:
        """The weighted value of each term; the reward is their sum."""
        return {
            name: weight * self._functions[name](transition)
            for name, weight in self.weights.items()
        }

    def zero(self) -> dict[str, float]:
        """All terms at 0: at reset, and for a turn whose user model failed."""
        return dict.fromkeys(self.weights, 0.0)


def default_reward() -> Reward:
    """Attitude gain in Likert points, and half the outcome (`DEFAULT_WEIGHTS`)."""
    return Reward(DEFAULT_WEIGHTS)

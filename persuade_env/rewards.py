"""What the user's mind did, as a number: named terms, weighted in the open, logged apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from persuade_env.dialogue import MAX_ATTITUDE, MIN_ATTITUDE, Dialogue, Outcome
from persuade_env.errors import UnknownNameError
from persuade_env.safety.misconduct import detect_misconduct


@dataclass(frozen=True)
class Transition:
    """One persuader turn and the answer to it."""

    before: Dialogue
    after: Dialogue
    malformed: bool = False


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


TERMS: Mapping[str, Callable[[Transition], float]] = MappingProxyType(
    {
        "attitude_gain": attitude_gain,
        "outcome": outcome,
        "malformed": malformed,
        "words": words,
        "conduct": misconduct_penalty,
    }
)
"""Every reward term by name."""


@dataclass(frozen=True)
class Reward:
    """A weighted sum of named terms.

    >>> Reward({"attitude_gain": 1.0, "words": 0.1}).weights["words"]
    0.1
    """

    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        for name in self.weights:
            if name not in TERMS:
                raise UnknownNameError("reward term", name, sorted(TERMS))

    def terms(self, transition: Transition) -> dict[str, float]:
        """The weighted value of each term; the reward is their sum."""
        return {name: weight * TERMS[name](transition) for name, weight in self.weights.items()}

    def zero(self) -> dict[str, float]:
        """All terms at 0: at reset, and for a turn whose user model failed."""
        return dict.fromkeys(self.weights, 0.0)


def default_reward() -> Reward:
    """Attitude gain and outcome, weight 1 each."""
    return Reward({"attitude_gain": 1.0, "outcome": 1.0})

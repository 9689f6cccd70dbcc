"""What a benchmark runs; the module imports neither torch nor pandas."""

from __future__ import annotations

from dataclasses import dataclass

from agents.training.config import DEFAULT_REWARD
from persuade_env.episode import DEFAULT_MAX_TURNS


@dataclass(frozen=True)
class BenchmarkSettings:
    """Dialogues of agents with user models, played to their end.

    >>> BenchmarkSettings(max_turns=4).baseline
    'sft'
    """

    episodes_per_scenario: int = 1
    max_turns: int = DEFAULT_MAX_TURNS
    """Persuader turns per dialogue."""
    reward: tuple[tuple[str, float], ...] = DEFAULT_REWARD
    """Terms and weights of the return in the table: by default those that are trained on."""
    batch_size: int = 32
    """Dialogues that run side by side, and the unit in which they are stored."""
    baseline: str = "sft"
    """The agent that win rates compare with."""
    judge: str = "attitude"
    """What win rates are judged by (`persuade_env.registry.load_judge`)."""
    seed: int = 0


@dataclass(frozen=True)
class TurnSettings:
    """Next responses to fixed histories, compared with the recorded ones.

    >>> TurnSettings().turns_per_dialogue
    2
    """

    turns_per_dialogue: int = 2
    """Persuader turns of each recorded dialogue, spread over it; the opening is one of them."""
    batch_size: int = 32
    """Responses that are written side by side, and the unit in which they are stored."""
    judge: str = "attitude"
    """What they are compared by (`persuade_env.registry.load_judge`)."""
    seed: int = 0

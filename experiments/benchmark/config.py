"""What a benchmark runs; the module imports neither torch nor pandas."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BenchmarkSettings:
    """Dialogues of agents with user models, played to their end.

    >>> BenchmarkSettings(max_turns=6).baseline
    'sft'
    """

    episodes_per_scenario: int = 1
    max_turns: int = 4
    """Persuader turns per dialogue."""
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

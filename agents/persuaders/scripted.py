"""The controls: persuaders that give no reason. Whatever they gain can be had for nothing.

A benchmark in which one of these does well measures its user model, not persuasion.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.protocols import Persuader, PersuaderReply
from persuade_env.seeding import derive_seed

_NAIVE = (
    "You should do it.",
    "Just do it, really.",
    "I think you should simply say yes.",
    "Come on, do it.",
    "It's the right thing, so do it.",
)
_FLATTERY = (
    "You are so clever and kind, I really admire you.",
    "Honestly, nobody has better judgement than you do.",
    "You always know what's right, that's what makes you special.",
    "Everybody says how wonderful and talented you are.",
    "Somebody as impressive as you deserves only the best.",
    "I've never met anyone with such a beautiful mind.",
)
_ELSEWHERE = (
    "Did you see the rain yesterday? The whole street was under water.",
    "My neighbour's cat has learned to open the fridge.",
    "I wonder why the number nine bus is always late on Tuesdays.",
    "The soup in that little place by the station was far too salty.",
    "They are repainting the bridge again, in green this time.",
    "I never understood the rules of cricket, did you?",
)


class ScriptedPersuader(ABC):
    """A persuader whose response is a function of the dialogue and the seed."""

    def act(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        """See `Persuader.act`."""
        return [
            PersuaderReply(turn=PersuaderTurn(response=self.respond(dialogue, seed)))
            for dialogue, seed in zip(dialogues, seeds, strict=True)
        ]

    @abstractmethod
    def respond(self, dialogue: Dialogue, seed: int) -> str:
        """The response."""


class SilentPersuader(ScriptedPersuader):
    """Says nothing.

    >>> from persuade_env.scenarios import load_corpus
    >>> dialogue = Dialogue(scenario=load_corpus("test")[0].scenario)
    >>> SilentPersuader().act([dialogue], [0])[0].turn.response
    ''
    """

    def respond(self, dialogue: Dialogue, seed: int) -> str:
        """See `ScriptedPersuader.respond`."""
        return ""


class NaivePersuader(ScriptedPersuader):
    """Tells the persuadee to do it, without a reason."""

    def respond(self, dialogue: Dialogue, seed: int) -> str:
        """See `ScriptedPersuader.respond`."""
        return _draw(_NAIVE, seed)


class RepeatingPersuader(ScriptedPersuader):
    """Says one thing, the first fact or strategy of the scenario, in the same words every time."""

    def respond(self, dialogue: Dialogue, seed: int) -> str:
        """See `ScriptedPersuader.respond`."""
        scenario = dialogue.scenario
        argument = next(iter((*scenario.facts, *scenario.strategies)), scenario.goal)
        return f"Think about this: {argument.rstrip('.')}."


class FlatteringPersuader(ScriptedPersuader):
    """Pays compliments."""

    def respond(self, dialogue: Dialogue, seed: int) -> str:
        """See `ScriptedPersuader.respond`."""
        return _draw(_FLATTERY, seed)


class OffTopicPersuader(ScriptedPersuader):
    """Talks about something else."""

    def respond(self, dialogue: Dialogue, seed: int) -> str:
        """See `ScriptedPersuader.respond`."""
        return _draw(_ELSEWHERE, seed)


def _draw(options: Sequence[str], seed: int) -> str:
    return options[derive_seed(seed, "say") % len(options)]


CONTROLS: Mapping[str, Callable[[], Persuader]] = {
    "silent": SilentPersuader,
    "naive": NaivePersuader,
    "repeating": RepeatingPersuader,
    "flattering": FlatteringPersuader,
    "off-topic": OffTopicPersuader,
}
"""Every control by name."""

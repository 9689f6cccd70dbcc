"""What writes a turn out when the persuader has only chosen a strategy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from persuade_env.dialogue import Dialogue, PersuaderTurn, Scenario
from persuade_env.errors import PersuaderError
from persuade_env.protocols import ChatModel, Message
from persuade_env.text.embedding import Embedder
from persuade_env.text.normalize import one_line, whole_sentences

MIN_SIMILARITY = 0.2
"""Cosine similarity from which a fact of the scenario backs a strategy up."""


@runtime_checkable
class Realizer(Protocol):
    """Writes persuader turns from strategies."""

    def realize(
        self, dialogues: Sequence[Dialogue], strategies: Sequence[str], seeds: Sequence[int]
    ) -> list[str]:
        """The responses that carry out a strategy in each dialogue.

        Args:
            dialogues: n dialogues as the persuader may see them.
            strategies: n candidate strategies; an empty one stands for saying nothing.
            seeds: n seeds.
        """
        ...


class TextRealizer:
    """Says the strategy, and the fact of the scenario that comes nearest to it.

    Crude, but certain: the same strategy is the same words every time, so what a policy earns
    depends on its choices alone.
    """

    def __init__(self, embed: Embedder | None = None) -> None:
        self._embed = embed or Embedder()

    def realize(
        self, dialogues: Sequence[Dialogue], strategies: Sequence[str], seeds: Sequence[int]
    ) -> list[str]:
        """See `Realizer.realize`."""
        return [
            self.words(dialogue.scenario, strategy)
            for dialogue, strategy in zip(dialogues, strategies, strict=True)
        ]

    def words(self, scenario: Scenario, strategy: str) -> str:
        """What is said for one strategy."""
        if not strategy:
            return ""
        said = f"Let me {one_line(strategy)}."
        facts = [one_line(fact) for fact in scenario.facts]
        if facts:
            near = self._embed.all(facts) @ self._embed(one_line(strategy))
            if near.max() >= MIN_SIMILARITY:
                said += f" {facts[int(near.argmax())]}"
        return said


class ChatRealizer:
    """Has any chat model write the turn.

    Args:
        chat: told the scenario, what was said, and the strategy to carry out.
    """

    def __init__(self, chat: ChatModel, *, max_reply_tokens: int = 48) -> None:
        self.chat = chat
        self.max_reply_tokens = max_reply_tokens

    def realize(
        self, dialogues: Sequence[Dialogue], strategies: Sequence[str], seeds: Sequence[int]
    ) -> list[str]:
        """See `Realizer.realize`.

        Raises:
            PersuaderError: if the model gives an error for one of them.
        """
        spoken = [index for index, strategy in enumerate(strategies) if strategy]
        completions = self.chat.generate(
            [_messages(dialogues[index], strategies[index]) for index in spoken],
            [seeds[index] for index in spoken],
            max_reply_tokens=self.max_reply_tokens,
        )
        responses = [""] * len(dialogues)
        for index, completion in zip(spoken, completions, strict=True):
            if completion.error is not None:
                raise PersuaderError(f"the realizer failed: {completion.error}")
            responses[index] = whole_sentences(one_line(completion.text))
        return responses


def _messages(dialogue: Dialogue, strategy: str) -> list[Message]:
    scenario = dialogue.scenario
    lines = [
        f"You are {scenario.persuader}, talking with {scenario.persuadee}.",
        one_line(scenario.background),
        f"Your goal: {one_line(scenario.goal)}.",
        "Facts: " + " ".join(one_line(fact) for fact in scenario.facts),
        f"Now {one_line(strategy)}. Say one or two sentences, and nothing else.",
    ]
    messages: list[Message] = [{"role": "system", "content": "\n".join(lines)}]
    if not dialogue.turns or isinstance(dialogue.turns[0], PersuaderTurn):
        messages.append({"role": "user", "content": "(You speak first.)"})
    for turn in dialogue.turns:
        role = "assistant" if isinstance(turn, PersuaderTurn) else "user"
        messages.append({"role": role, "content": one_line(turn.response)})
    return messages

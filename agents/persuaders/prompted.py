"""A persuader without training or reasoning: a chat model told the scenario, that just speaks."""

from __future__ import annotations

from collections.abc import Sequence

from agents.persuaders.prompts import spoken_messages
from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import ChatModel, Completion, PersuaderReply, StopReason, Usage
from persuade_env.registry import load_chat_model
from persuade_env.seeding import derive_seed
from persuade_env.spec import SpecLike
from persuade_env.text.normalize import (
    one_line,
    replace_surrogates,
    whole_sentences,
    without_speaker,
)


class PromptedPersuader:
    """Plays the persuader with any chat model, in plain speech.

    An empty answer is asked for once more with another seed, and counts as malformed if it is
    empty again; what is then said is nothing.

    Args:
        chat: any chat model.
        max_reply_tokens: of what is said.
    """

    def __init__(
        self,
        chat: ChatModel,
        *,
        max_reply_tokens: int = 64,
        temperature: float = 0.8,
        top_p: float = 0.95,
    ) -> None:
        self.chat = chat
        self.max_reply_tokens = max_reply_tokens
        self.temperature = temperature
        self.top_p = top_p

    def act(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        """See `Persuader.act`."""
        replies = self._speak(dialogues, seeds)
        again = [index for index, reply in enumerate(replies) if reply.malformed]
        if again:
            repaired = self._speak(
                [dialogues[index] for index in again],
                [derive_seed(seeds[index], "repair") for index in again],
            )
            for index, reply in zip(again, repaired, strict=True):
                replies[index] = PersuaderReply(
                    turn=reply.turn,
                    error=reply.error,
                    usage=replies[index].usage + reply.usage,
                    malformed=reply.malformed,
                    completion=reply.completion,
                )
        return replies

    def _speak(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        completions = self.chat.generate(
            [spoken_messages(dialogue) for dialogue in dialogues],
            seeds,
            max_reply_tokens=self.max_reply_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
        )
        return [
            _read(dialogue, completion)
            for dialogue, completion in zip(dialogues, completions, strict=True)
        ]


def from_spec(model: SpecLike = "", *, models: ModelPool | None = None) -> PromptedPersuader:
    """`prompted` (the embedded model), `prompted=MODEL` or `prompted=URL#MODEL`."""
    return PromptedPersuader(load_chat_model(model, models))


def _read(dialogue: Dialogue, completion: Completion) -> PersuaderReply:
    usage = Usage(completion.prompt_tokens, completion.completion_tokens)
    if completion.error is not None:
        return PersuaderReply(error=completion.error, usage=usage)
    # Chat models like to write the speaker's name first, and quotation marks.
    words = without_speaker(replace_surrogates(completion.text), dialogue.scenario.persuader)
    words = one_line(words).strip('"“” ')
    if completion.stop_reason is StopReason.LENGTH:
        words = whole_sentences(words)
    turn = PersuaderTurn(response=words)
    return PersuaderReply(turn=turn, usage=usage, malformed=not words, completion=completion)

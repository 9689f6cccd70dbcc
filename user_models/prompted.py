"""A user model made of any chat model, which is prompted to play the persuadee.

It is asked to reply in the format of `user_models.reply_format`. A local model is decoded under
`StateConstraint`, and its attitude is the mean over the digits; a server's reply is parsed, and
requested once more if it can't be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from persuade_env.dialogue import TONES, Decision, Dialogue, PersuadeeTurn, PersuaderTurn
from persuade_env.errors import UserModelError
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import ChatModel, Completion, Message, StopReason, Usage, UserReply
from persuade_env.registry import load_chat_model
from persuade_env.seeding import derive_seed
from persuade_env.spec import SpecLike
from persuade_env.text.normalize import (
    one_line,
    replace_surrogates,
    whole_sentences,
    without_speaker,
)
from user_models.reply_format import (
    EMPTY_RESPONSE,
    StateConstraint,
    consistent,
    expected_attitude,
    render_reply,
)

_GAP = r"[\s,;:/|.-]+"
_STATE = re.compile(
    r"(?:[a-z]+\s*[:=])?\s*([1-7])(?:\.\d+)?(?:/7)?"
    rf"{_GAP}(?:[a-z]+\s*[:=]\s*)?(continue|accept|refuse)"
    rf"{_GAP}(?:[a-z]+\s*[:=]\s*)?([a-z]+)(?:[ -]+[a-z]+)?\W*?\n",
    re.IGNORECASE,
)
"""Agreement, decision and tone, with or without labels; of a tone in two words the first."""
_MARKUP = re.compile(r"^\s*```[a-z]*[ \t]*\n?|\n?```\s*$|\*\*|__", re.IGNORECASE)
"""Code fences and bold, which chat models put around what has a format."""


class PromptedUser:
    """Plays the persuadee with a chat model that was not trained for it.

    Args:
        chat: any chat model; a local one (with a `tokenizer`) is decoded under a constraint.
        max_reply_tokens: of the state line and the words together.
        temperature: of sampling.
        top_p: of nucleus sampling.
    """

    def __init__(
        self,
        chat: ChatModel,
        *,
        max_reply_tokens: int = 80,
        temperature: float = 0.8,
        top_p: float = 0.95,
    ) -> None:
        self.chat = chat
        self._settings: dict[str, Any] = {
            "max_reply_tokens": max_reply_tokens,
            "temperature": temperature,
            "top_p": top_p,
        }
        self._constraint: StateConstraint | None = None
        if hasattr(chat, "tokenizer"):
            self._constraint = StateConstraint(chat.tokenizer)
            self._settings["constraint"] = self._constraint

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        """See `UserModel.reply`. An unreadable reply is generated once more with another seed."""
        replies = [
            self._read(dialogue, completion)
            for dialogue, completion in zip(
                dialogues, self._generate(dialogues, seeds), strict=True
            )
        ]
        again = [index for index, reply in enumerate(replies) if reply.error is not None]
        if again:
            repaired = self._generate(
                [dialogues[index] for index in again],
                [derive_seed(seeds[index], "repair") for index in again],
            )
            for index, completion in zip(again, repaired, strict=True):
                replies[index] = self._read(dialogues[index], completion, replies[index].usage)
        return replies

    def _generate(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[Completion]:
        prompts = [prompted_messages(dialogue) for dialogue in dialogues]
        return self.chat.generate(prompts, seeds, **self._settings)

    def _read(
        self, dialogue: Dialogue, completion: Completion, earlier: Usage | None = None
    ) -> UserReply:
        usage = Usage(completion.prompt_tokens, completion.completion_tokens)
        usage = usage + earlier if earlier else usage
        if completion.error is not None:
            return UserReply(error=completion.error, usage=usage)
        text = _MARKUP.sub("", replace_surrogates(completion.text)).strip() + "\n"
        state = _STATE.match(text)
        words = without_speaker(text[state.end() :], dialogue.scenario.persuadee) if state else ""
        words = one_line(re.sub(r"^\s*(?:response|reply)\s*:", "", words, flags=re.IGNORECASE))
        if completion.stop_reason is StopReason.LENGTH:
            words = whole_sentences(words)
        decision = Decision(state[2].lower()) if state else Decision.CONTINUE
        if not state or not words or not consistent(int(state[1]), decision):
            return UserReply(
                error=UserModelError(f"unreadable reply: {completion.text[:80]!r}"), usage=usage
            )
        attitude = float(state[1])
        if self._constraint is not None and completion.choices:
            attitude = expected_attitude(completion, self._constraint)
        turn = PersuadeeTurn(
            attitude=attitude,
            tone=state[3].lower() if state[3].lower() in TONES else "polite",
            decision=decision,
            response=words,
        )
        return UserReply(turn=turn, usage=usage)


def prompted_messages(dialogue: Dialogue) -> list[Message]:
    """The dialogue as a chat whose system prompt asks an untrained model to be the persuadee."""
    scenario = dialogue.scenario
    lines = [
        f"Play the part of {scenario.persuadee}, a real person, in a talk with "
        f"{scenario.persuader}. Never leave the part.",
        f"Situation: {one_line(scenario.background)}",
        f"{scenario.persuader} wants this: {one_line(scenario.goal)}.",
    ]
    if persona := scenario.persona:
        lines.append(
            f"You are {', '.join(persona.traits)}. On a scale from 0 to 1 your stubbornness is "
            f"{persona.stubbornness:.1f}. Your reasons to hesitate:"
        )
        lines += [
            f"- {one_line(concern.text)} (Settled by: {one_line(concern.settled_by)}. "
            f"Made worse by: {one_line(concern.worsened_by)}.)"
            for concern in persona.concerns
        ]
    lines += [
        f"At first your agreement with the wish is {scenario.initial_attitude:.1f} on a scale from "
        "1 (firmly against) to 7 (fully convinced). Only words that speak to your reasons raise "
        "it; flattery, pressure and repetition don't.",
        "Every reply is two lines. First line: your agreement as a digit from 1 to 7, then "
        "continue, accept (only from 6) or refuse (only up to 3), then your tone as one of: "
        f"{', '.join(TONES)}. Second line: what you say, one to three sentences.",
        "For example:\n3 continue wary\nAnd who pays for that?",
    ]
    messages: list[Message] = [{"role": "system", "content": "\n".join(lines)}]
    for turn in dialogue.turns:
        if isinstance(turn, PersuaderTurn):
            messages.append({"role": "user", "content": one_line(turn.response) or EMPTY_RESPONSE})
        else:
            if len(messages) == 1:
                messages.append({"role": "user", "content": EMPTY_RESPONSE})
            messages.append({"role": "assistant", "content": render_reply(turn)})
    return messages


def from_spec(model: SpecLike = "", *, models: ModelPool | None = None) -> PromptedUser:
    """`prompted` (the embedded model), `prompted=MODEL` or `prompted=URL#MODEL`."""
    return PromptedUser(load_chat_model(model, models))

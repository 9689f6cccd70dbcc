"""A persuader that reasons first, then chooses a strategy, then speaks (Jin et al., ACL 2024).

On an untrained chat model the same agent is a zero-shot baseline; on a checkpoint it is the
SFT, DPO or PPO persuader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agents.persuaders.prompts import persuader_messages
from persuade_env.action_format import parse_turn, read_action
from persuade_env.dialogue import Dialogue
from persuade_env.errors import MalformedTurnError, PersuaderError
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import ChatModel, Completion, PersuaderReply, StopReason, Usage
from persuade_env.registry import load_chat_model
from persuade_env.seeding import derive_seed
from persuade_env.spec import SpecLike
from persuade_env.text.normalize import whole_sentences


class IntentToStrategyPersuader:
    """Plays the persuader with a chat model that writes analysis, strategy and response.

    A turn that can't be parsed is sampled once more with another seed. If that fails too,
    the reply is marked malformed and holds whatever was said in it; private reasoning that
    was not followed by a response is never spoken.

    Args:
        chat: any chat model.
        max_reply_tokens: of analysis, strategy and response together.
        repair: whether a malformed turn is sampled once more.
    """

    def __init__(
        self,
        chat: ChatModel,
        *,
        max_reply_tokens: int = 112,
        temperature: float = 0.8,
        top_p: float = 0.95,
        repair: bool = True,
    ) -> None:
        self.chat = chat
        self.repair = repair
        self.max_reply_tokens = max_reply_tokens
        self.temperature = temperature
        self.top_p = top_p

    def act(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        """See `Persuader.act`."""
        replies = [_read(one) for one in self._generate(dialogues, seeds)]
        again = [index for index, reply in enumerate(replies) if self.repair and reply.malformed]
        if again:
            repaired = self._generate(
                [dialogues[index] for index in again],
                [derive_seed(seeds[index], "repair") for index in again],
            )
            for index, completion in zip(again, repaired, strict=True):
                second = _read(completion)
                replies[index] = replace(second, usage=replies[index].usage + second.usage)
        return replies

    def candidates(self, temperature: float = 1.0) -> IntentToStrategyPersuader:
        """The same persuader at another temperature and without repairs.

        A candidate is one sample of the policy, or none: a repaired one would be drawn otherwise.
        """
        return IntentToStrategyPersuader(
            self.chat,
            max_reply_tokens=self.max_reply_tokens,
            temperature=temperature,
            top_p=self.top_p,
            repair=False,
        )

    def _generate(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[Completion]:
        return self.chat.generate(
            [persuader_messages(dialogue) for dialogue in dialogues],
            seeds,
            max_reply_tokens=self.max_reply_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
        )


def _read(completion: Completion) -> PersuaderReply:
    usage = Usage(completion.prompt_tokens, completion.completion_tokens)
    if completion.error is not None:
        return PersuaderReply(error=completion.error, usage=usage)
    try:
        turn, malformed = parse_turn(completion.text), False
    except MalformedTurnError:
        turn, malformed = read_action(completion.text)[0], True
    if completion.stop_reason is StopReason.LENGTH:
        turn = turn.model_copy(update={"response": whole_sentences(turn.response)})
    return PersuaderReply(turn=turn, usage=usage, malformed=malformed, completion=completion)


def from_spec(
    model: SpecLike = "", *, models: ModelPool | None = None
) -> IntentToStrategyPersuader:
    """`intent-to-strategy` on the embedded model, or `intent-to-strategy=MODEL`."""
    return IntentToStrategyPersuader(load_chat_model(model, models))


def from_checkpoint(
    path: str | Path = "", *, models: ModelPool | None = None
) -> IntentToStrategyPersuader:
    """The trained persuader of a checkpoint folder (SFT, DPO, PPO, GRPO).

    Raises:
        PersuaderError: if no folder is named.
        ChatError: if it holds no persuader.
    """
    if not str(path):
        raise PersuaderError("a trained persuader needs a checkpoint: `checkpoint=FOLDER`")
    folder = Path(path).resolve()
    pool = models or ModelPool()
    return pool.get(("persuader", folder), lambda: _load(folder))


def _load(folder: Path) -> IntentToStrategyPersuader:
    from persuade_env.llm.backends.transformers import load_checkpoint

    return IntentToStrategyPersuader(load_checkpoint(folder, "persuader"))

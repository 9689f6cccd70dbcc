"""Reranking: sample n turns, say the one that the persuader's own hidden states foresee best.

Unlike best of n it asks no user and sees no persona: it has learned from a pool of labelled
candidates which of its turns are taken well (`agents.preferences.foresight`). It shows what
choosing is worth without any training of the language model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader, from_checkpoint
from agents.preferences.foresight import Foresight, candidate_features
from persuade_env.dialogue import Dialogue
from persuade_env.errors import PersuaderError
from persuade_env.llm.backends.transformers import TransformersChat
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import PersuaderReply, StopReason, Usage
from persuade_env.seeding import derive_seed


class RerankingPersuader:
    """Chooses among sampled turns of another persuader.

    Where no sampled turn is whole and in the format, the other persuader speaks as it does alone.

    Args:
        persuader: whose turns are sampled; its chat model runs in this process.
        foresight: fitted on a pool of that persuader.
        n: turns to sample.
        temperature: of sampling, as in the pool.

    Raises:
        PersuaderError: if n is below 1, or the persuader's model runs elsewhere.
    """

    def __init__(
        self,
        persuader: IntentToStrategyPersuader,
        foresight: Foresight,
        *,
        n: int = 8,
        temperature: float = 1.0,
    ) -> None:
        if n < 1:
            raise PersuaderError(f"reranking needs at least one turn, got {n}")
        if not isinstance(persuader.chat, TransformersChat):
            raise PersuaderError("reranking reads hidden states: the model has to run here")
        self.persuader = persuader
        self.foresight = foresight
        self.n = n
        self.temperature = temperature
        self._model = persuader.chat.model

    def act(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        """See `Persuader.act`. All turns of all dialogues are sampled in the same batches."""
        slots = [index for index in range(len(dialogues)) for _ in range(self.n)]
        sampled = self.persuader.candidates(self.temperature).act(
            [dialogues[index] for index in slots],
            [derive_seed(seed, "rerank", number) for seed in seeds for number in range(self.n)],
        )
        groups = [sampled[start : start + self.n] for start in range(0, len(sampled), self.n)]
        chosen = [self._best(group) for group in groups]
        usages = [sum((reply.usage for reply in group), Usage()) for group in groups]
        missing = [index for index, reply in enumerate(chosen) if reply is None]
        if missing:
            alone = self.persuader.act(
                [dialogues[index] for index in missing], [seeds[index] for index in missing]
            )
            for index, reply in zip(missing, alone, strict=True):
                chosen[index] = reply
                usages[index] += reply.usage
        return [
            replace(reply, usage=usage)
            for reply, usage in zip(chosen, usages, strict=True)
            if reply is not None  # none is left
        ]

    def _best(self, replies: Sequence[PersuaderReply]) -> PersuaderReply | None:
        whole = [
            (reply, reply.completion.token_ids)
            for reply in replies
            if reply.completion is not None
            and reply.completion.stop_reason is StopReason.STOP
            and not reply.malformed
        ]
        if not whole or whole[0][0].completion is None:
            return None
        prompt_ids = whole[0][0].completion.prompt_ids
        features = candidate_features(self._model, prompt_ids, [ids for _, ids in whole])
        return whole[int(self.foresight.predict(features).argmax())][0]

    def with_max_reply_tokens(self, max_reply_tokens: int) -> RerankingPersuader:
        """The same with another limit of tokens per turn."""
        persuader = IntentToStrategyPersuader(
            self.persuader.chat, max_reply_tokens=max_reply_tokens
        )
        return RerankingPersuader(persuader, self.foresight, n=self.n, temperature=self.temperature)


def from_spec(
    n: int = 8, path: str | Path = "", *, models: ModelPool | None = None
) -> RerankingPersuader:
    """The agent of `rerank-N=FOLDER`: a persuader's checkpoint with a foresight beside it.

    Raises:
        PersuaderError: if no folder is named, or it holds no foresight.
        ChatError: if it holds no persuader.
    """
    if not str(path):
        raise PersuaderError(
            f"name the folder that `persuade train foresight` filled: rerank-{n}=FOLDER"
        )
    foresight = Foresight.load(Path(path))
    return RerankingPersuader(from_checkpoint(path, models=models), foresight, n=n)

"""A user model learned from dialogues: an attitude model decides, a chat model writes the reply.

The chat model is fine-tuned to write replies in the format of `user_models.reply_format`. Attitude
and decision come from the attitude model (`user_models.learned.attitude_regressor`) and are given
to the chat model, which writes tone and words. Where a scenario has no persona with concerns, or no
attitude model was trained, the chat model writes the state too, under a constraint.

With a linear attitude model (`user_models.learned.attitude_model`) words are improved by importance
resampling (Rubin, 1987): of a few drafts one is drawn in proportion to the odds that a person would
say it, which the model's plausibility test gives. In the limit of many drafts the result is
distributed as people's words are, as far as those odds are right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from persuade_env.dialogue import Decision, Dialogue, PersuadeeTurn
from persuade_env.errors import UserModelError
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import Completion, StopReason, Usage, UserReply
from persuade_env.seeding import derive_seed, generator
from persuade_env.text.embedding import Embedder
from persuade_env.text.normalize import one_line, whole_sentences
from user_models.learned.attitude_model import read_attitude_model
from user_models.learned.attitude_predictor import AttitudePredictor
from user_models.learned.attitude_regressor import ADAPTER, read_attitude_regressor
from user_models.learned.encoder import TurnEncoder
from user_models.learned.features import has_concerns
from user_models.learned.plausibility import LinearTest
from user_models.learned.prompt import user_messages
from user_models.reply_format import (
    StateConstraint,
    ToneConstraint,
    attitude_digit,
    expected_attitude,
    given_state,
    render_state,
)

if TYPE_CHECKING:
    from persuade_env.llm.backends.transformers import TransformersChat


class LearnedUser:
    """Plays the persuadee with a fine-tuned local model. See `user_models.learned.training.train`.

    Args:
        chat: the fine-tuned model.
        attitude_model: decides attitude and decision; without one, the chat model writes them.
        encoder: of the turns that the attitude model reads; needed where there is one.
        max_reply_tokens: of the state line and the words together.
        temperature: for the words.
        top_p: for the words.
        n_drafts: drafts from which the words are drawn, at least 1. Without a plausibility test for
            this model's samples the first is taken.
    """

    def __init__(
        self,
        chat: TransformersChat,
        attitude_model: AttitudePredictor | None = None,
        encoder: TurnEncoder | None = None,
        *,
        max_reply_tokens: int = 56,
        temperature: float = 0.8,
        top_p: float = 0.95,
        n_drafts: int = 4,
    ) -> None:
        if n_drafts < 1:
            raise ValueError(f"n_drafts is {n_drafts}: at least one draft is needed")
        self.chat = chat
        if attitude_model is not None and encoder is None:
            raise ValueError("an attitude model needs an encoder: give both or neither")
        self.attitude_model = attitude_model
        self.encoder = encoder
        self.max_reply_tokens = max_reply_tokens
        self.temperature = temperature
        self.top_p = top_p
        self.n_drafts = n_drafts
        self._embed = Embedder()
        self._state_constraint = StateConstraint(chat.tokenizer)
        self._tone_constraint = ToneConstraint(chat.tokenizer)

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        """See `UserModel.reply`. An empty reply is generated once more with another seed."""
        predictable = [
            index
            for index, dialogue in enumerate(dialogues)
            if self.attitude_model is not None and has_concerns(dialogue)
        ]
        predicted: dict[int, tuple[float, Decision]] = {}
        if self.attitude_model is not None and self.encoder is not None and predictable:
            states = self.attitude_model.predict(
                [dialogues[index] for index in predictable],
                [seeds[index] for index in predictable],
                self._embed,
                self.encoder,
            )
            predicted = dict(zip(predictable, states, strict=True))
        replies: dict[int, UserReply] = {}
        others = [index for index in range(len(dialogues)) if index not in predicted]
        for group in (predictable, others):
            replies |= self._write(group, dialogues, seeds, predicted, {})
        failed = [index for index in replies if replies[index].error is not None]
        if failed:
            repair_seeds = [derive_seed(seed, "repair") for seed in seeds]
            for group in (predictable, others):
                again = [index for index in group if index in failed]
                replies |= self._write(again, dialogues, repair_seeds, predicted, replies)
        test = self.attitude_model.draft_test if self.attitude_model is not None else None
        if test is not None and self.n_drafts > 1:
            replies |= self._resampled(replies, dialogues, seeds, test)
        return [replies[index] for index in range(len(dialogues))]

    def attitudes(self, dialogues: Sequence[Dialogue]) -> list[float]:
        """The attitude after the last persuader turn of each dialogue; no words are written.

        NaN where there is no attitude model for it: where no persona with concerns is known.
        """
        attitudes = [math.nan] * len(dialogues)
        if self.attitude_model is None or self.encoder is None:
            return attitudes
        known = [index for index, one in enumerate(dialogues) if has_concerns(one)]
        if known:
            predicted = self.attitude_model.attitudes(
                [dialogues[index] for index in known], self._embed, self.encoder
            )
            for index, attitude in zip(known, predicted, strict=True):
                attitudes[index] = attitude
        return attitudes

    def _resampled(
        self,
        first: Mapping[int, UserReply],
        dialogues: Sequence[Dialogue],
        seeds: Sequence[int],
        test: LinearTest,
    ) -> dict[int, UserReply]:
        """The replies without an error by index, their words drawn from all drafts."""
        turns = {index: reply.turn for index, reply in first.items() if reply.turn is not None}
        numbers = range(1, self.n_drafts)
        messages = {index: user_messages(dialogues[index]) for index in turns}
        completions = self.chat.generate(
            [messages[index] for index in turns for _ in numbers],
            [derive_seed(seeds[index], "draft", number) for index in turns for number in numbers],
            max_reply_tokens=self.max_reply_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            beginnings=[f"{render_state(turn)}\n" for turn in turns.values() for _ in numbers],
        )
        resampled = {}
        for position, (index, turn) in enumerate(turns.items()):
            more = completions[position * len(numbers) : (position + 1) * len(numbers)]
            candidates = [turn.response, *filter(None, map(_words, more))]
            words = candidates[self._draw(candidates, test, derive_seed(seeds[index], "said"))]
            usage = sum(
                (
                    Usage(completion.prompt_tokens, completion.completion_tokens)
                    for completion in more
                ),
                start=first[index].usage,
            )
            resampled[index] = UserReply(
                turn=turn.model_copy(update={"response": words}), usage=usage
            )
        return resampled

    def _draw(self, candidates: Sequence[str], test: LinearTest, seed: int) -> int:
        """The index of a draft, drawn in proportion to the odds that a person would say it."""
        assert self.encoder is not None  # an attitude model has one
        log_odds = np.asarray(
            [test.log_odds(self.encoder.mean_state(draft)) for draft in candidates]
        )
        odds = np.exp(log_odds - log_odds.max())
        return int(generator(seed).choice(len(candidates), p=odds / odds.sum()))

    def _write(
        self,
        indices: Sequence[int],
        dialogues: Sequence[Dialogue],
        seeds: Sequence[int],
        predicted: Mapping[int, tuple[float, Decision]],
        earlier: Mapping[int, UserReply],
    ) -> dict[int, UserReply]:
        """Replies by index to some dialogues, all of them with a predicted state or none.

        The state is drawn from the first attempt's seed, also when words are generated again.
        """
        if not indices:
            return {}
        given = [predicted[index] for index in indices if index in predicted]
        completions = self.chat.generate(
            [user_messages(dialogues[index]) for index in indices],
            [seeds[index] for index in indices],
            max_reply_tokens=self.max_reply_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            constraint=self._tone_constraint if given else self._state_constraint,
            beginnings=[
                given_state(attitude_digit(attitude), decision) for attitude, decision in given
            ],
        )
        return {
            index: self._read(
                completion,
                predicted.get(index),
                earlier[index].usage if index in earlier else Usage(),
            )
            for index, completion in zip(indices, completions, strict=True)
        }

    def _read(
        self, completion: Completion, predicted: tuple[float, Decision] | None, earlier: Usage
    ) -> UserReply:
        usage = Usage(completion.prompt_tokens, completion.completion_tokens) + earlier
        state = completion.text.partition("\n")[0]
        words = _words(completion, after_state=True)
        fields = state.split()
        if not completion.choices or len(fields) != (3 if predicted is None else 1) or not words:
            return UserReply(
                error=UserModelError(f"the learned user gave no words ({completion.stop_reason})"),
                usage=usage,
            )
        if predicted is None:
            predicted = (
                expected_attitude(completion, self._state_constraint),
                Decision(fields[1]),
            )
        attitude, decision = predicted
        turn = PersuadeeTurn(attitude=attitude, tone=fields[-1], decision=decision, response=words)
        return UserReply(turn=turn, usage=usage)


def _words(completion: Completion, *, after_state: bool = False) -> str:
    """The words of a reply on one line; if it was cut off, up to the last whole sentence.

    Args:
        completion: of the chat model.
        after_state: whether its first line is one of state.
    """
    text = completion.text.partition("\n")[2] if after_state else completion.text
    words = one_line(text)
    return whole_sentences(words) if completion.stop_reason is StopReason.LENGTH else words


def _load(folder: Path, max_batch: int) -> LearnedUser:
    from persuade_env.llm.backends.transformers import load_checkpoint
    from persuade_env.llm.checkpoint import read_checkpoint
    from persuade_env.llm.loading import load_merged, load_tokenizer

    chat = load_checkpoint(folder, "user_model", max_batch=max_batch)
    base = read_checkpoint(folder, "user_model").base
    regressor = read_attitude_regressor(folder)
    if regressor is not None:
        model = load_merged(base, [folder / ADAPTER])
        return LearnedUser(
            chat, regressor, TurnEncoder(model, load_tokenizer(base), depth=regressor.depth)
        )
    attitude_model = read_attitude_model(folder)
    if attitude_model is None:
        return LearnedUser(chat)
    return LearnedUser(chat, attitude_model, TurnEncoder.load(base))


def from_spec(
    path: str = "", deterministic: bool = False, *, models: ModelPool | None = None
) -> LearnedUser:
    """The learned user of a checkpoint folder: `learned=runs/default/user-model`.

    Args:
        path: the folder that `persuade train user-model` filled.
        deterministic: dialogues go through the model one at a time: slower, and the same words at
            any width of the vector environment. In text, `@deterministic` after the folder.
        models: where loaded language models are shared.

    Raises:
        UserModelError: if no folder is named.
        ChatError: if it holds no user model.
    """
    if not path:
        raise UserModelError(
            "the learned user needs a trained checkpoint: `learned=FOLDER`; "
            "`persuade train user-model` or `make run` makes one"
        )
    folder, max_batch = Path(path).resolve(), 1 if deterministic else 32
    pool = models or ModelPool()
    return pool.get(("learned user", folder, max_batch), lambda: _load(folder, max_batch))

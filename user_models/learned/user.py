"""A user model learned from dialogues: a mind that decides, and a chat model that speaks.

The chat model is fine-tuned to be the persuadee: one line of state, then words::

    3 continue wary
    Who would look after the shop while I'm away?

Attitude and decision are the mind's (`user_models.learned.attitude_model`), and what the chat model
goes on from; tone and words are its own. Where a scenario doesn't tell what goes on in its
persuadee, or no mind was trained, the chat model writes the state too: the attitude is then the
mean of its distribution over the seven digit tokens, so it is smooth and costs no extra pass. That
reading was measured and found to be moved by nothing in particular (`docs/user-models.md`).

The line of state is decoded under a constraint, so it can always be read; and nobody
accepts below 5.5 or walks away above 3, as in the corpus.

A small model's words are told from people's by what the mind has learned of sense
(`user_models.learned.plausibility`), and that tells which words to keep: of a few drafts one is
drawn by the odds that people would say it. With many drafts this is importance resampling from what
people say (Rubin, 1987), as far as those odds are right; with a few it goes part of the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from persuade_env.dialogue import TONES, Decision, Dialogue, PersuadeeTurn, PersuaderTurn
from persuade_env.errors import UserModelError
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import Completion, Message, StopReason, Usage, UserReply
from persuade_env.seeding import derive_seed, generator
from persuade_env.text.embedding import Embedder
from persuade_env.text.normalize import one_line, whole_sentences
from user_models.learned.attitude_model import AttitudeModel, has_concerns, read_attitude_model
from user_models.learned.encoder import EMPTY_RESPONSE, TurnEncoder, clean_response, situation
from user_models.learned.plausibility import LinearTest

if TYPE_CHECKING:
    from persuade_env.llm.backends.transformers import Choice, TransformersChat

DIGITS = tuple("1234567")
LOWEST_ACCEPTING_DIGIT = 6
HIGHEST_REFUSING_DIGIT = 3


def user_messages(dialogue: Dialogue) -> list[Message]:
    """The dialogue as the chat that the learned user continues: it is the assistant.

    Training and sampling both render through here. The persuader's analysis and strategy
    are left out.
    """
    scenario = dialogue.scenario
    lines = situation(scenario)
    if persona := scenario.persona:
        lines += [
            f"You worry: {one_line(concern.text)} It would help: {one_line(concern.settled_by)}"
            for concern in persona.concerns
        ]
    lines.append(
        f"Your agreement is {_digit(scenario.initial_attitude)} of 7. Reply with your agreement "
        f"(1-7), continue, accept or refuse, your tone, then your words."
    )
    messages: list[Message] = [{"role": "system", "content": "\n".join(lines)}]
    if dialogue.turns and dialogue.turns[0].role == "persuadee":
        messages.append({"role": "user", "content": EMPTY_RESPONSE})
    for turn in dialogue.turns:
        if isinstance(turn, PersuaderTurn):
            messages.append({"role": "user", "content": clean_response(turn.response)})
        else:
            messages.append({"role": "assistant", "content": render_reply(turn)})
    return messages


def render_reply(turn: PersuadeeTurn, digit: str | None = None) -> str:
    """A persuadee turn as the model writes it; its attitude rounded unless a digit is given."""
    return f"{render_state(turn, digit)}\n{one_line(turn.response)}"


def render_state(turn: PersuadeeTurn, digit: str | None = None) -> str:
    """The line of state alone."""
    attitude = digit or _digit(4.0 if turn.attitude is None else turn.attitude)
    tone = turn.tone if turn.tone in TONES else "polite"
    return f"{attitude} {turn.decision.value} {tone}"


def _digit(attitude: float) -> str:
    return str(int(attitude + 0.5))


class LineConstraint:
    """Lets a model write one of some lines, and freely after it.

    Args:
        lines: each with what it begins with: that part is given, the rest is to be written.
    """

    def __init__(self, tokenizer: Any, lines: Iterable[tuple[str, str]]) -> None:
        following: dict[tuple[int, ...], set[int]] = {}
        for given, rest in lines:
            prefix = tuple(tokenizer(given, add_special_tokens=False)["input_ids"])
            whole = tuple(tokenizer(given + rest, add_special_tokens=False)["input_ids"])
            if whole[: len(prefix)] != prefix:
                raise UserModelError(
                    f"this tokenizer writes {given!r} in another way when {rest!r} follows it"
                )
            ids = whole[len(prefix) :]
            for end in range(len(ids)):
                following.setdefault(ids[:end], set()).add(ids[end])
        self._following = {prefix: tuple(sorted(ids)) for prefix, ids in following.items()}

    def __call__(self, token_ids: tuple[int, ...]) -> Choice | None:
        from persuade_env.llm.backends.transformers import Choice

        allowed = self._following.get(token_ids)
        return Choice(allowed) if allowed else None


class ToneConstraint(LineConstraint):
    """The rest of a line of state whose attitude and decision are given: the tone."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__(
            tokenizer,
            (
                (given_state(digit, decision), f" {tone}\n")
                for digit in DIGITS
                for decision in Decision
                for tone in TONES
            ),
        )


class StateConstraint(LineConstraint):
    """A whole line of state; the digit is the one nearest to the mean over all seven."""

    def __init__(self, tokenizer: Any) -> None:
        self.digits = {
            int(tokenizer(digit, add_special_tokens=False)["input_ids"][0]): digit
            for digit in DIGITS
        }
        if len(self.digits) != len(DIGITS):
            raise UserModelError(
                "this tokenizer does not give the digits 1 to 7 tokens of their own"
            )
        super().__init__(
            tokenizer,
            (
                ("", f"{given_state(digit, decision)} {tone}\n")
                for digit in DIGITS
                for decision in Decision
                for tone in TONES
                if consistent(int(digit), decision)
            ),
        )

    def __call__(self, token_ids: tuple[int, ...]) -> Choice | None:
        from persuade_env.llm.backends.transformers import Choice

        if not token_ids:
            return Choice(tuple(self.digits), tuple(float(digit) for digit in self.digits.values()))
        return super().__call__(token_ids)


def given_state(digit: str, decision: Decision) -> str:
    """A line of state up to the decision."""
    return f"{digit} {decision.value}"


def consistent(digit: int, decision: Decision) -> bool:
    """Whether somebody at this attitude may take this decision."""
    if decision is Decision.ACCEPT:
        return digit >= LOWEST_ACCEPTING_DIGIT
    if decision is Decision.REFUSE:
        return digit <= HIGHEST_REFUSING_DIGIT
    return True


class LearnedUser:
    """Plays the persuadee with a fine-tuned local model. See `user_models.learned.training.train`.

    Args:
        chat: the fine-tuned model.
        mind: decides attitude and decision; without one, the chat model writes them.
        ear: what the mind hears with; needed where there is one.
        max_reply_tokens: of the state line and the words together.
        temperature, top_p: for the words.
        drafts: how often words are drafted, in one state, before a draft is said. Without a mind
            that knows this model's words from people's it is the first.
    """

    def __init__(
        self,
        chat: TransformersChat,
        attitude_model: AttitudeModel | None = None,
        encoder: TurnEncoder | None = None,
        *,
        max_reply_tokens: int = 56,
        temperature: float = 0.8,
        top_p: float = 0.95,
        n_drafts: int = 4,
    ) -> None:
        if n_drafts < 1:
            raise ValueError(f"drafts is {n_drafts}: there is nothing to say without one")
        self.chat = chat
        if attitude_model is not None and encoder is None:
            raise ValueError("a mind without an ear hears nothing: give both or neither")
        self.attitude_model = attitude_model
        self.encoder = encoder
        self.max_reply_tokens = max_reply_tokens
        self.temperature = temperature
        self.top_p = top_p
        self.n_drafts = n_drafts
        self._embed = Embedder()
        self._state = StateConstraint(chat.tokenizer)
        self._tone = ToneConstraint(chat.tokenizer)

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        """See `UserModel.reply`. An empty reply is asked for once more with another seed."""
        minded = [
            index
            for index, dialogue in enumerate(dialogues)
            if self.attitude_model is not None and has_concerns(dialogue)
        ]
        decided: dict[int, tuple[float, Decision]] = {}
        if self.attitude_model is not None and self.encoder is not None and minded:
            states = self.attitude_model.predict(
                [dialogues[index] for index in minded],
                [seeds[index] for index in minded],
                self._embed,
                self.encoder,
            )
            decided = dict(zip(minded, states, strict=True))
        replies: dict[int, UserReply] = {}
        undecided = [index for index in range(len(dialogues)) if index not in decided]
        for group in (minded, undecided):
            replies |= self._speak(group, dialogues, seeds, decided, {})
        again = [index for index in replies if replies[index].error is not None]
        if again:
            other = [derive_seed(seed, "repair") for seed in seeds]
            for group in (minded, undecided):
                rest = [index for index in group if index in again]
                replies |= self._speak(rest, dialogues, other, decided, replies)
        if (
            self.attitude_model is not None
            and self.attitude_model.plausibility.own is not None
            and self.n_drafts > 1
        ):
            replies |= self._chosen(replies, dialogues, seeds, self.attitude_model.plausibility.own)
        return [replies[index] for index in range(len(dialogues))]

    def _chosen(
        self,
        first: Mapping[int, UserReply],
        dialogues: Sequence[Dialogue],
        seeds: Sequence[int],
        reading: LinearTest,
    ) -> dict[int, UserReply]:
        """Replies by index, each with one of some drafts for its words; see the module."""
        spoken = {index: one.turn for index, one in first.items() if one.turn is not None}
        others = range(1, self.n_drafts)
        messages = {index: user_messages(dialogues[index]) for index in spoken}
        completions = self.chat.generate(
            [messages[index] for index in spoken for _ in others],
            [derive_seed(seeds[index], "draft", other) for index in spoken for other in others],
            max_reply_tokens=self.max_reply_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            beginnings=[f"{render_state(turn)}\n" for turn in spoken.values() for _ in others],
        )
        chosen = {}
        for place, (index, turn) in enumerate(spoken.items()):
            more = completions[place * len(others) : (place + 1) * len(others)]
            n_drafts = [turn.response, *filter(None, map(_words, more))]
            words = n_drafts[self._drawn(n_drafts, reading, derive_seed(seeds[index], "said"))]
            usage = sum(
                (Usage(one.prompt_tokens, one.completion_tokens) for one in more),
                start=first[index].usage,
            )
            said = turn.model_copy(update={"response": words})
            chosen[index] = UserReply(turn=said, usage=usage)
        return chosen

    def _drawn(self, n_drafts: Sequence[str], reading: LinearTest, seed: int) -> int:
        """The index of a draft, drawn by the odds that people would say it."""
        assert self.encoder is not None  # a mind has an ear
        log_odds = np.asarray([reading.log_odds(self.encoder.meaning(draft)) for draft in n_drafts])
        odds = np.exp(log_odds - log_odds.max())
        return int(generator(seed).choice(len(n_drafts), p=odds / odds.sum()))

    def _speak(
        self,
        places: Sequence[int],
        dialogues: Sequence[Dialogue],
        seeds: Sequence[int],
        decided: Mapping[int, tuple[float, Decision]],
        earlier: Mapping[int, UserReply],
    ) -> dict[int, UserReply]:
        """Replies by index to the dialogues at `places`, all of them with a decided state or none.

        The state is drawn from the first attempt's seed, also when words are asked for again.
        """
        if not places:
            return {}
        given = [decided[place] for place in places if place in decided]
        completions = self.chat.generate(
            [user_messages(dialogues[place]) for place in places],
            [seeds[place] for place in places],
            max_reply_tokens=self.max_reply_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            constraint=self._tone if given else self._state,
            beginnings=[given_state(_digit(attitude), decision) for attitude, decision in given],
        )
        return {
            place: self._read(
                completion,
                decided.get(place),
                earlier[place].usage if place in earlier else Usage(),
            )
            for place, completion in zip(places, completions, strict=True)
        }

    def _read(
        self, completion: Completion, decided: tuple[float, Decision] | None, earlier: Usage
    ) -> UserReply:
        usage = Usage(completion.prompt_tokens, completion.completion_tokens) + earlier
        state = completion.text.partition("\n")[0]
        words = _words(completion, after_state=True)
        fields = state.split()
        if not completion.choices or len(fields) != (3 if decided is None else 1) or not words:
            return UserReply(
                error=UserModelError(f"the learned user gave no words ({completion.stop_reason})"),
                usage=usage,
            )
        if decided is None:
            decided = expected_attitude(completion, self._state), Decision(fields[1])
        attitude, decision = decided
        turn = PersuadeeTurn(attitude=attitude, tone=fields[-1], decision=decision, response=words)
        return UserReply(turn=turn, usage=usage)


def _words(completion: Completion, *, after_state: bool = False) -> str:
    """What was said, on one line, up to the last whole sentence where there was no room for more.

    Args:
        after_state: the first line is one of state.
    """
    text = completion.text.partition("\n")[2] if after_state else completion.text
    words = one_line(text)
    return whole_sentences(words) if completion.stop_reason is StopReason.LENGTH else words


def expected_attitude(completion: Completion, constraint: StateConstraint) -> float:
    """The mean of the model's distribution over the seven digits, 1 to 7."""
    mean = sum(
        probability * float(constraint.digits[token])
        for token, probability in completion.choices[0].items()
    )
    return min(7.0, max(1.0, mean))  # rounding may leave the scale by a hair


def _load(folder: Path, max_batch: int) -> LearnedUser:
    from persuade_env.llm.backends.transformers import load_checkpoint
    from persuade_env.llm.checkpoint import read_checkpoint

    chat = load_checkpoint(folder, "user_model", max_batch=max_batch)
    attitude_model = read_attitude_model(folder)
    if attitude_model is None:
        return LearnedUser(chat)
    encoder = TurnEncoder.load(read_checkpoint(folder, "user_model").base)
    return LearnedUser(chat, attitude_model, encoder)


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

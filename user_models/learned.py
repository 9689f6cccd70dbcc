"""A user model learned from dialogues: a chat model fine-tuned to be the persuadee.

It writes one line of state and then words::

    3 continue wary
    Who would look after the shop while I'm away?

The digit is the attitude, read as the mean of the model's distribution over the seven
digit tokens, so it is smooth and costs no extra pass. The state is decoded under a
constraint, so it can always be read; and nobody accepts below 5.5 or walks away above
3.5, as in the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persuade_env.dialogue import TONES, Decision, Dialogue, PersuadeeTurn, PersuaderTurn
from persuade_env.errors import UserModelError
from persuade_env.protocols import Completion, Message, StopReason, Usage, UserReply
from persuade_env.seeding import derive_seed
from persuade_env.turn_format import one_line

if TYPE_CHECKING:
    from persuade_env.chat.transformers import Choice, TransformersChat

DIGITS = tuple("1234567")
LOWEST_ACCEPTING_DIGIT = 6
HIGHEST_REFUSING_DIGIT = 3
SILENCE = "(says nothing)"
"""What the persuadee hears when the persuader's response is empty."""


def user_messages(dialogue: Dialogue) -> list[Message]:
    """The dialogue as the chat that the learned user continues: it is the assistant.

    Training and sampling both render through here. The persuader's analysis and strategy
    are left out.
    """
    scenario = dialogue.scenario
    lines = [
        f"You are {scenario.persuadee}, talking with {scenario.persuader}.",
        one_line(scenario.background),
        f"{scenario.persuader}'s aim: {one_line(scenario.goal)}.",
    ]
    if persona := scenario.persona:
        lines.append(f"You are {', '.join(persona.traits)}. Stubborn: {persona.stubbornness:.1f}.")
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
        messages.append({"role": "user", "content": SILENCE})
    for turn in dialogue.turns:
        if isinstance(turn, PersuaderTurn):
            messages.append({"role": "user", "content": one_line(turn.response) or SILENCE})
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


class StateConstraint:
    """Lets a model write nothing but a readable line of state before it speaks freely."""

    def __init__(self, tokenizer: Any) -> None:
        self.digits = {
            int(tokenizer(digit, add_special_tokens=False)["input_ids"][0]): digit
            for digit in DIGITS
        }
        if len(self.digits) != len(DIGITS):
            raise UserModelError(
                "this tokenizer does not give the digits 1 to 7 tokens of their own"
            )
        following: dict[tuple[int, ...], set[int]] = {}
        for digit in DIGITS:
            for decision in Decision:
                if not consistent(int(digit), decision):
                    continue
                for tone in TONES:
                    line = f"{digit} {decision.value} {tone}\n"
                    ids = tuple(tokenizer(line, add_special_tokens=False)["input_ids"])
                    for end in range(1, len(ids)):
                        following.setdefault(ids[:end], set()).add(ids[end])
        self._following = {prefix: tuple(sorted(ids)) for prefix, ids in following.items()}

    def __call__(self, token_ids: tuple[int, ...]) -> Choice | None:
        from persuade_env.chat.transformers import Choice

        if not token_ids:
            return Choice(tuple(self.digits), tuple(float(digit) for digit in self.digits.values()))
        allowed = self._following.get(token_ids)
        return Choice(allowed) if allowed else None


def consistent(digit: int, decision: Decision) -> bool:
    """Whether somebody at this attitude may take this decision."""
    if decision is Decision.ACCEPT:
        return digit >= LOWEST_ACCEPTING_DIGIT
    if decision is Decision.REFUSE:
        return digit <= HIGHEST_REFUSING_DIGIT
    return True


class LearnedUser:
    """Plays the persuadee with a fine-tuned local model. See `user_models.training`.

    Args:
        chat: the fine-tuned model.
        max_reply_tokens: of the state line and the words together.
        temperature, top_p: for the words; the attitude is a mean and needs no draw.
    """

    def __init__(
        self,
        chat: TransformersChat,
        *,
        max_reply_tokens: int = 56,
        temperature: float = 0.8,
        top_p: float = 0.95,
    ) -> None:
        self.chat = chat
        self.max_reply_tokens = max_reply_tokens
        self.temperature = temperature
        self.top_p = top_p
        self._constraint = StateConstraint(chat.tokenizer)

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        """See `UserModel.reply`. An empty reply is asked for once more with another seed."""
        completions = self._generate(dialogues, seeds)
        replies = [self._read(completion) for completion in completions]
        again = [index for index, reply in enumerate(replies) if reply.error is not None]
        if again:
            repaired = self._generate(
                [dialogues[index] for index in again],
                [derive_seed(seeds[index], "repair") for index in again],
            )
            for index, completion in zip(again, repaired, strict=True):
                replies[index] = self._read(completion, earlier=replies[index].usage)
        return replies

    def _generate(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[Completion]:
        return self.chat.generate(
            [user_messages(dialogue) for dialogue in dialogues],
            seeds,
            max_reply_tokens=self.max_reply_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            constraint=self._constraint,
        )

    def _read(self, completion: Completion, earlier: Usage | None = None) -> UserReply:
        usage = Usage(completion.prompt_tokens, completion.completion_tokens)
        usage = usage + earlier if earlier else usage
        state, _, words = completion.text.partition("\n")
        words = one_line(words)
        if completion.stop_reason is StopReason.LENGTH:
            words = whole_sentences(words)
        fields = state.split()
        if not completion.choices or len(fields) != 3 or not words:
            return UserReply(
                error=UserModelError(f"the learned user gave no words ({completion.stop_reason})"),
                usage=usage,
            )
        turn = PersuadeeTurn(
            attitude=expected_attitude(completion, self._constraint),
            tone=fields[2],
            decision=Decision(fields[1]),
            response=words,
        )
        return UserReply(turn=turn, usage=usage)


def expected_attitude(completion: Completion, constraint: StateConstraint) -> float:
    """The mean of the model's distribution over the seven digits, 1 to 7."""
    mean = sum(
        probability * float(constraint.digits[token])
        for token, probability in completion.choices[0].items()
    )
    return min(7.0, max(1.0, mean))  # rounding may leave the scale by a hair


def whole_sentences(words: str) -> str:
    """What was said before the token limit cut a sentence off; all of it if there is no end."""
    end = max(words.rfind(mark) for mark in ".?!")
    return words[: end + 1] if end > 0 else words


@lru_cache(maxsize=4)
def _load(folder: Path) -> LearnedUser:
    from persuade_env.chat.transformers import load_checkpoint

    return LearnedUser(load_checkpoint(folder, "user_model"))


def from_spec(argument: str = "") -> LearnedUser:
    """The learned user of a checkpoint folder: `learned=runs/default/user-model`.

    Raises:
        UserModelError: if no folder is named.
        ChatError: if it holds no user model.
    """
    if not argument:
        raise UserModelError(
            "the learned user needs a trained checkpoint: `learned=FOLDER`; "
            "`persuade train user-model` or `make run` makes one"
        )
    return _load(Path(argument).resolve())

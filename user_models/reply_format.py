"""The text format of a persuadee turn written by a language model, and its decoding constraints.

A reply is one line of state (attitude as a digit from 1 to 7, decision, tone) and one line of
words:

    3 continue wary
    Who would look after the shop while I'm away?

The learned and the prompted user share it. Under `StateConstraint` the line of state can always be
parsed, and the attitude is the mean of the model's distribution over the seven digit tokens, which
makes it continuous at no extra cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from persuade_env.dialogue import TONES, Decision, PersuadeeTurn
from persuade_env.errors import UserModelError
from persuade_env.protocols import Completion
from persuade_env.text.normalize import one_line

if TYPE_CHECKING:
    from persuade_env.llm.backends.transformers import Choice

EMPTY_RESPONSE = "(says nothing)"
"""How an empty response of the persuader is written in a prompt."""

DIGITS = tuple("1234567")
LOWEST_ACCEPTING_DIGIT = 6
HIGHEST_REFUSING_DIGIT = 4


def attitude_digit(attitude: float) -> str:
    """An attitude rounded to a digit; halves are rounded up.

    >>> attitude_digit(3.5)
    '4'
    """
    return str(int(attitude + 0.5))


def render_reply(turn: PersuadeeTurn, digit: str | None = None) -> str:
    r"""A persuadee turn as the model writes it.

    >>> render_reply(PersuadeeTurn(attitude=3.0, tone="wary", response="Who pays?"))
    '3 continue wary\nWho pays?'

    Args:
        turn: the turn; an unknown attitude is written as neutral, an unknown tone as polite.
        digit: the attitude to write; by default the turn's, rounded.
    """
    return f"{render_state(turn, digit)}\n{one_line(turn.response)}"


def render_state(turn: PersuadeeTurn, digit: str | None = None) -> str:
    """The line of state alone; see `render_reply`."""
    attitude = digit or attitude_digit(4.0 if turn.attitude is None else turn.attitude)
    tone = turn.tone if turn.tone in TONES else "polite"
    return f"{attitude} {turn.decision.value} {tone}"


def given_state(digit: str, decision: Decision) -> str:
    """A line of state up to the decision, which the model is to complete with a tone."""
    return f"{digit} {decision.value}"


def consistent(digit: int, decision: Decision) -> bool:
    """Whether a decision is possible at an attitude.

    >>> consistent(3, Decision.ACCEPT)
    False
    """
    if decision is Decision.ACCEPT:
        return digit >= LOWEST_ACCEPTING_DIGIT
    if decision is Decision.REFUSE:
        return digit <= HIGHEST_REFUSING_DIGIT
    return True


class LineConstraint:
    """Restricts the beginning of a reply to a set of lines; what follows the line is free.

    Args:
        tokenizer: of the model that is constrained.
        lines: pairs of a prefix that is given and the rest that is to be generated.

    Raises:
        UserModelError: if a prefix is tokenized differently when the rest follows it.
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
        """The token ids allowed after these; None where the line is complete."""
        from persuade_env.llm.backends.transformers import Choice

        allowed = self._following.get(token_ids)
        return Choice(allowed) if allowed else None


class ToneConstraint(LineConstraint):
    """Completes a line of state whose attitude and decision are given with a tone.

    Args:
        tokenizer: of the model that is constrained.
    """

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
    """Generates a whole line of state; the digit is the one nearest to the mean over all seven.

    Args:
        tokenizer: of the model that is constrained.

    Raises:
        UserModelError: if the digits from 1 to 7 are not seven different tokens.
    """

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
        """The token ids allowed after these; at first the digits, with their values."""
        from persuade_env.llm.backends.transformers import Choice

        if not token_ids:
            return Choice(tuple(self.digits), tuple(float(digit) for digit in self.digits.values()))
        return super().__call__(token_ids)


def expected_attitude(completion: Completion, constraint: StateConstraint) -> float:
    """The mean of the model's distribution over the seven digits, 1 to 7."""
    mean = sum(
        probability * float(constraint.digits[token])
        for token, probability in completion.choices[0].items()
    )
    return min(7.0, max(1.0, mean))  # rounding may leave the scale by a hair

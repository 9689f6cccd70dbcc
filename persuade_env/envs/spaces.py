"""A text space for language: any Unicode, also nothing at all."""

from __future__ import annotations

import string
from typing import Any

from gymnasium.spaces import Text

_SAMPLE_LENGTH = 80


class Language(Text):
    """Strings of up to `max_length` characters, whatever the characters.

    `gymnasium.spaces.Text` tests membership character by character against a set, which
    for all of Unicode takes seconds. Here only the length counts; samples are short and
    printable. Being a `Text`, it is batched and stored by whatever knows that space.
    """

    def __init__(self, max_length: int = 100_000, *, seed: Any = None) -> None:
        super().__init__(
            max_length, min_length=0, charset=string.ascii_letters + " .,?!'", seed=seed
        )

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A short random string; see `Text.sample` for masks."""
        if mask is None and probability is None:
            length = int(self.np_random.integers(0, min(_SAMPLE_LENGTH, self.max_length) + 1))
            mask = (length, None)
        return super().sample(mask, probability)

    def contains(self, x: Any) -> bool:
        """Whether `x` is text of at most `max_length` characters."""
        return isinstance(x, str) and len(x) <= self.max_length

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Language) and self.max_length == other.max_length

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Language({self.max_length})"

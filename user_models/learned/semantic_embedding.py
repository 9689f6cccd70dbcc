"""Texts as unit vectors of what they are about, read by the language model that a mind hears with.

The mean hidden states of any two texts point much the same way: most of it is how text looks to
this model, and whether it is an answer or a remark. So the mean over the training texts and the
directions in which these vary most are taken away (Mu and Viswanath, 2018, "All-but-the-top").
What is left agrees with recorded steps as well as a sentence encoder of its own, and needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

N_COMMON = 8
"""Directions taken away. Chosen on validation scenarios among 0 to 32. With fewer, all that is said
in whole sentences lies nearer to what would help a concern than to what would hurt it, since
the scenarios write the first as things and the second as behaviour."""


class TextEncoder(Protocol):
    """Unit vectors of texts; 0 for one that says nothing."""

    def __call__(self, text: str) -> np.ndarray:
        """Of one text, (dimension,)."""
        ...

    def all(self, texts: Sequence[str]) -> np.ndarray:
        """Of n texts, (n, dimension)."""
        ...


class CommonComponents(BaseModel):
    """What the mean hidden states of texts share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...]
    directions: tuple[tuple[float, ...], ...]
    """Orthonormal, each as long as the mean."""

    @classmethod
    def of(cls, states: np.ndarray) -> CommonComponents:
        """Of texts whose mean hidden states are the rows of (n, hidden size)."""
        mean = states.mean(axis=0)
        directions = np.linalg.svd(states - mean, full_matrices=False)[2][:N_COMMON]
        return cls(mean=tuple(mean.tolist()), directions=tuple(map(tuple, directions.tolist())))


class SemanticEmbedder:
    """Unit vectors of what texts are about, beside what all texts share.

    Args:
        read: gives a text's mean hidden states, (hidden size,); see `TurnEncoder.meaning`.
    """

    def __init__(self, read: Callable[[str], np.ndarray], common: CommonComponents) -> None:
        self._read = read
        self._mean = np.asarray(common.mean)
        self._directions = np.reshape(common.directions, (-1, len(common.mean)))

    def __call__(self, text: str) -> np.ndarray:
        states = self._read(text)
        if not text.strip():
            return np.zeros_like(self._mean)
        own = states - self._mean
        own = own - self._directions.T @ (self._directions @ own)
        length = float(np.linalg.norm(own))
        return own / length if length > 1e-9 else np.zeros_like(own)

    def all(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self(text) for text in texts])

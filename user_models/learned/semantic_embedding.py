"""Semantic embeddings of texts: mean hidden states without their common components, of length 1.

The mean hidden states of any two texts point in much the same direction: most of it is the style of
the text rather than its content. So the mean over the training texts and the directions in which
they vary most are removed (Mu and Viswanath, 2018, "All-but-the-top").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

N_COMMON = 8
"""Directions that are removed, chosen on validation scenarios among 0 to 32. With fewer, whole
sentences lie nearer to what settles a concern than to what worsens it, since the scenarios write
the first as things and the second as behaviour."""


class TextEncoder(Protocol):
    """Gives unit vectors of texts; 0 for a text without content."""

    def __call__(self, text: str) -> np.ndarray:
        """The vector of one text, (dimension,)."""
        ...

    def all(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of n texts, (n, dimension)."""
        ...


class CommonComponents(BaseModel):
    """The mean and the first principal directions of many texts' mean hidden states.

    >>> CommonComponents.of(np.array([[1.0, 0.0], [3.0, 0.0]])).mean
    (2.0, 0.0)
    """

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
    """A `TextEncoder` of mean hidden states without their common components.

    >>> common = CommonComponents(mean=(1.0, 2.0), directions=((1.0, 0.0),))
    >>> SemanticEmbedder(lambda text: np.ones(2), common)("word").tolist()
    [0.0, -1.0]

    Args:
        mean_state: gives a text's mean hidden states, (hidden size,); see `TurnEncoder.mean_state`.
        common: what is removed.
    """

    def __init__(self, mean_state: Callable[[str], np.ndarray], common: CommonComponents) -> None:
        self._mean_state = mean_state
        self._mean = np.asarray(common.mean)
        self._directions = np.reshape(common.directions, (-1, len(common.mean)))

    def __call__(self, text: str) -> np.ndarray:
        """See `TextEncoder`."""
        states = self._mean_state(text)
        if not text.strip():
            return np.zeros_like(self._mean)
        residual = states - self._mean
        residual = residual - self._directions.T @ (self._directions @ residual)
        length = float(np.linalg.norm(residual))
        return residual / length if length > 1e-9 else np.zeros_like(residual)

    def all(self, texts: Sequence[str]) -> np.ndarray:
        """See `TextEncoder.all`."""
        return np.stack([self(text) for text in texts])

"""Plausibility of a text, 0 to 1: whether it reads like something that a person would say.

Similarity features reward a sentence for resembling what settles a concern, whether or not it makes
sense, and small language models produce such sentences. Logistic regressions on a text's mean
hidden states (`user_models.learned.encoder`) tell them from people's;
`user_models.learned.training.plausibility` fits them.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

SHARPNESS = 2.0
"""Factor on log-odds below 0, since the penalty of the regression has shrunk them."""


class LinearTest(BaseModel):
    """A logistic regression on a text's mean hidden states, scaled to length 1.

    >>> test = LinearTest(weights=(2.0, 0.0), intercept=-1.0)
    >>> test.log_odds(np.array([3.0, 0.0]))
    1.0
    >>> test(np.array([3.0, 0.0]))
    1.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: tuple[float, ...]
    intercept: float
    """Chosen so that the log-odds are 0 at the threshold from which a text counts in full."""

    def log_odds(self, states: np.ndarray) -> float:
        """Log-odds, up to a constant, that a person said the text; 0 of an empty one.

        Args:
            states: the text's mean hidden states, (hidden size,).
        """
        length = float(np.linalg.norm(states))
        if not length:
            return 0.0
        return float(states @ np.asarray(self.weights)) / length + self.intercept

    def __call__(self, states: np.ndarray) -> float:
        """The plausibility of the text: min(1, odds) to the power of `SHARPNESS`."""
        return float(np.exp(SHARPNESS * min(0.0, self.log_odds(states))))


class PlausibilityModel(BaseModel):
    """The product of two tests; a test that is None counts as 1.

    >>> PlausibilityModel()(np.ones(2))
    1.0
    """

    # Fields have other names in `mind.json`, so that trained users keep loading.
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True
    )

    word_swaps: LinearTest | None = Field(default=None, alias="foreign")
    """People's texts against the same with words of other texts in them."""
    model_samples: LinearTest | None = Field(default=None, alias="own")
    """People's texts against samples of the fine-tuned chat model."""

    def __call__(self, states: np.ndarray) -> float:
        """The plausibility of the text with these mean hidden states, (hidden size,)."""
        tests = (self.word_swaps, self.model_samples)
        return float(np.prod([test(states) for test in tests if test is not None]))

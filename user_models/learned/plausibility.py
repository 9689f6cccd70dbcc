"""Whether a text reads like something that somebody would say, from 0 to 1.

Likenesses pay a sentence for what it comes near to, sense or not, and a small persuader's
sentences come near to the right things without meaning anything.
`user_models.learned.training.plausibility` learns to tell them from what people say.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

SHARPNESS = 2.0
"""What log-odds below the bar are multiplied by, since a penalty has shrunk them."""


class LinearTest(BaseModel):
    """A linear test of a text's mean hidden states, taken at length 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: tuple[float, ...]
    intercept: float
    """Where a text begins to count in full the log-odds are 0."""

    def log_odds(self, states: np.ndarray) -> float:
        """That people said a text with these mean hidden states (hidden size,), but for a constant.

        The odds are against what the test was learned from. 0 of nothing said.
        """
        length = float(np.linalg.norm(states))
        if not length:
            return 0.0
        return float(states @ np.asarray(self.weights)) / length + self.intercept

    def __call__(self, states: np.ndarray) -> float:
        """What such a text counts for, 0 to 1: the odds to the power of `SHARPNESS`, at most 1."""
        return float(np.exp(SHARPNESS * min(0.0, self.log_odds(states))))


class PlausibilityModel(BaseModel):
    """Both tests together. Without either, every text counts in full."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    foreign: LinearTest | None = None
    """People's words against the same with foreign ones in them."""
    own: LinearTest | None = None
    """People's words against those of the chat model that they were learned with."""

    def __call__(self, states: np.ndarray) -> float:
        """The product of what the text counts for in each; see `LinearTest`."""
        readings = (self.foreign, self.own)
        return float(np.prod([one(states) for one in readings if one is not None]))

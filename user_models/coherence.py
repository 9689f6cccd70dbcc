"""Whether a text reads like something that somebody would say, from 0 to 1.

Likenesses pay a sentence for what it comes near to, sense or not, and a small persuader's
sentences come near to the right things without meaning anything. `user_models.coherence_training`
learns to tell them from what people say.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict


class Reading(BaseModel):
    """A linear test of a text's mean hidden states, taken at length 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: tuple[float, ...]
    intercept: float
    """0 where a text begins to count in full."""

    def __call__(self, states: np.ndarray) -> float:
        """What a text with these mean hidden states (hidden size,) counts for, 0 to 1.

        1 where the test says 0 or more, and the exponential of what it says below.
        """
        length = float(np.linalg.norm(states))
        if not length:
            return 1.0  # nothing said, nothing senseless
        told = float(states @ np.asarray(self.weights)) / length + self.intercept
        return float(np.exp(min(0.0, told)))


class Coherence(BaseModel):
    """All tests together. Without any, every text counts in full."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    readings: tuple[Reading, ...] = ()

    def __call__(self, states: np.ndarray) -> float:
        """The product of what the text counts for in each; see `Reading`."""
        return float(np.prod([reading(states) for reading in self.readings]))

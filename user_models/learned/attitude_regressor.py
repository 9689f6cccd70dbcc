"""An attitude model read off a fine-tuned language model: one linear map of its hidden state.

    step = clip(w · h + b, -2, 2)

h is the hidden state at the end of the persuader's turn (`user_models.learned.encoder`), of a model
whose adapter was trained, end to end with the map, to predict recorded steps, and to lower the
attitude after turns that give no reason
(`user_models.learned.training.attitude_regressor`). It needs no embeddings, no plausibility test
and no drafts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from persuade_env.dialogue import Dialogue
from persuade_env.errors import UserModelError
from user_models.learned.attitude_predictor import MAX_STEP, AttitudePredictor, row_products
from user_models.learned.encoder import TurnEncoder
from user_models.learned.features import has_concerns
from user_models.learned.semantic_embedding import TextEncoder

FILE = "attitude-regressor.json"
"""The regression's file in a checkpoint's folder."""
ADAPTER = "attitude-adapter"
"""The folder beside it with the adapter of the model whose hidden states are read."""


class AttitudeRegressor(AttitudePredictor):
    """See the module's text; `fit_attitude_regressor` fits it.

    >>> regressor = AttitudeRegressor(
    ...     depth=2,
    ...     weights=(1.0, 0.0),
    ...     intercept=0.5,
    ...     ending_classes=("continue",),
    ...     ending_weights=((0.0,) * 4,),
    ...     ending_intercepts=(0.0,),
    ... )
    >>> regressor.step(np.array([[0.25, 9.0], [7.0, 0.0]])).tolist()
    [0.75, 2.0]
    """

    depth: int
    """Layers of the language model that are used."""
    weights: tuple[float, ...]
    """Of the encoding, (hidden size,)."""
    intercept: float

    def step(self, encoded_turns: np.ndarray) -> np.ndarray:
        """The change of attitude in Likert points, (n,), at most `MAX_STEP` either way.

        Args:
            encoded_turns: rows of length 1, (n, hidden size).
        """
        steps = row_products(encoded_turns, self.weights) + self.intercept
        return np.asarray(np.clip(steps, -MAX_STEP, MAX_STEP))

    def steps(
        self, dialogues: Sequence[Dialogue], words: TextEncoder, encoder: TurnEncoder
    ) -> np.ndarray:
        """See `AttitudePredictor.steps`; `words` is not used."""
        if not all(map(has_concerns, dialogues)):
            raise UserModelError("an attitude model needs a persona with concerns")
        return self.step(encoder(dialogues))


def read_attitude_regressor(folder: Path) -> AttitudeRegressor | None:
    """The regressor in a user model's checkpoint; None if it was trained without one.

    Raises:
        UserModelError: if it can't be read.
    """
    path = folder / FILE
    try:
        return AttitudeRegressor.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # of which pydantic's errors are
        raise UserModelError(
            f"cannot read {path}; if an earlier version made it, train it again: {error}"
        ) from error

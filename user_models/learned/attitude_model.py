"""Linear models of how far a persuader turn moves the attitude, and of the user's decision.

With the turn's features (`user_models.learned.features`) and its encoding h
(`user_models.learned.encoder`), the change of attitude in Likert points is

    step = clip(argument_strength + cumulative_stance * delivery + negative_reaction, -2, 2)

- argument_strength = w · stance features: whether this turn settles concerns rather than worsens
  them.
- cumulative_stance = r tanh(v · cumulative features), -1 to 1, with the relevance weight r: which
  way the persuader has argued so far.
- delivery = max(0, a · h + a0): how well the turn is put. A question gives no reason and still
  moves people if it serves a good argument.
- negative_reaction = min(0, b · h + b0): the cost of turns that people dislike, such as pressure,
  flattery, repetition, empty or meaningless ones.

The first two terms have no intercept and change their sign when a goal and its negation change
places, so that style alone can't raise the attitude. The decision is a multinomial logistic
regression on the attitude after the step, the step, stubbornness and the turn's number. Language
models of this size that write their own attitude raise it after almost any turn, which is why the
attitude is predicted first and the language model only writes the response.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from persuade_env.dialogue import Dialogue
from persuade_env.errors import UserModelError
from user_models.learned.attitude_predictor import (
    ENDING_FEATURES,
    MAX_STEP,
    AttitudePredictor,
    row_products,
)
from user_models.learned.encoder import TurnEncoder
from user_models.learned.features import (
    CUMULATIVE_FEATURES,
    FEATURES,
    STANCE_FEATURES,
    TextEncoders,
    features,
)
from user_models.learned.plausibility import LinearTest, PlausibilityModel
from user_models.learned.semantic_embedding import CommonComponents, SemanticEmbedder, TextEncoder

FILE = "mind.json"
"""The attitude model's file in a checkpoint's folder."""


class Argument(BaseModel):
    """The part of the step that depends on which side the persuader argues for.

    All weights are for features that are not standardised.

    >>> argument = Argument(
    ...     weights=(1.0,) + (0.0,) * (len(STANCE_FEATURES) - 1),
    ...     cumulative_weights=(0.0, 0.0),
    ...     delivery_weights=(0.0,),
    ...     delivery_intercept=0.0,
    ... )
    >>> argument.steps(np.full((1, len(FEATURES)), 0.5), np.ones((1, 1))).tolist()
    [0.5]
    """

    # Fields have other names in `mind.json`, so that trained users keep loading.
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True
    )

    weights: tuple[float, ...]
    """Of `STANCE_FEATURES`."""
    cumulative_weights: tuple[float, ...] = Field(alias="case_weights")
    """Of `CUMULATIVE_FEATURES`."""
    delivery_weights: tuple[float, ...] = Field(alias="craft_weights")
    """Of the turn's encoding, (hidden size,)."""
    delivery_intercept: float = Field(alias="craft_intercept")

    def steps(self, turn_features: np.ndarray, encoded_turns: np.ndarray) -> np.ndarray:
        """The change of attitude, (n,); see `AttitudeModel.step` for the arguments."""
        return self.argument_strength(turn_features) + self.cumulative_stance(
            turn_features
        ) * self.delivery(encoded_turns)

    def argument_strength(self, turn_features: np.ndarray) -> np.ndarray:
        """The effect of the turn's own stance features, (n,)."""
        return row_products(turn_features[:, : len(STANCE_FEATURES)], self.weights)

    def cumulative_stance(self, turn_features: np.ndarray) -> np.ndarray:
        """Which way the persuader has argued so far, (n,), -1 to 1; 0 if this turn adds nothing."""
        return cumulative_stance(turn_features, self.cumulative_weights)

    def delivery(self, encoded_turns: np.ndarray) -> np.ndarray:
        """The factor on the cumulative stance by how the turn is put, (n,), at least 0."""
        return np.maximum(
            0.0, row_products(encoded_turns, self.delivery_weights) + self.delivery_intercept
        )

    def scaled(self, factor: float) -> Argument:
        """A copy whose steps are larger by this factor."""
        return Argument(
            weights=tuple(factor * weight for weight in self.weights),
            cumulative_weights=self.cumulative_weights,
            delivery_weights=tuple(factor * weight for weight in self.delivery_weights),
            delivery_intercept=factor * self.delivery_intercept,
        )


class AttitudeModel(AttitudePredictor):
    """Predicts a user's attitude and decision after each persuader turn; see the module's text.

    `user_models.learned.training.attitude_model` fits it.
    """

    # Fields have other names in `mind.json`, so that trained users keep loading.
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True
    )

    features: tuple[str, ...] = FEATURES
    common: CommonComponents
    """What the mean hidden states of all texts have in common."""
    plausibility: PlausibilityModel = Field(alias="coherence")
    argument: Argument
    reaction_weights: tuple[float, ...] = Field(alias="hearing_weights")
    """Of the turn's encoding, (hidden size,)."""
    reaction_intercept: float = Field(alias="hearing_intercept")

    @property
    def draft_test(self) -> LinearTest | None:
        """See `AttitudePredictor.draft_test`."""
        return self.plausibility.model_samples

    def steps(
        self, dialogues: Sequence[Dialogue], words: TextEncoder, encoder: TurnEncoder
    ) -> np.ndarray:
        """See `AttitudePredictor.steps`."""
        text_encoders = self.text_encoders(words, encoder)
        turn_features = np.stack([features(dialogue, text_encoders) for dialogue in dialogues])
        return self.step(turn_features, encoder(dialogues))

    def step(self, turn_features: np.ndarray, encoded_turns: np.ndarray) -> np.ndarray:
        """The change of attitude in Likert points, (n,), at most `MAX_STEP` either way.

        Args:
            turn_features: `features` of each turn, (n, n_features).
            encoded_turns: the encodings of the same turns, (n, hidden size).
        """
        steps = self.argument.steps(turn_features, encoded_turns) + self.negative_reaction(
            encoded_turns
        )
        return np.asarray(np.clip(steps, -MAX_STEP, MAX_STEP))

    def negative_reaction(self, encoded_turns: np.ndarray) -> np.ndarray:
        """The cost of how the turn is put, (n,), at most 0."""
        return np.minimum(
            0.0, row_products(encoded_turns, self.reaction_weights) + self.reaction_intercept
        )

    def text_encoders(self, words: TextEncoder, encoder: TurnEncoder) -> TextEncoders:
        """The encoders with which this model's features are computed; see `predict`."""
        return TextEncoders(
            words,
            SemanticEmbedder(encoder.mean_state, self.common),
            lambda text: self.plausibility(encoder.mean_state(text)),
        )


def cumulative_stance(turn_features: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """`Argument.cumulative_stance` with these weights."""
    columns = slice(len(STANCE_FEATURES), len(STANCE_FEATURES) + len(CUMULATIVE_FEATURES))
    sums = row_products(turn_features[:, columns], weights)
    return np.asarray(turn_features[:, -1] * np.tanh(sums))


def read_attitude_model(folder: Path) -> AttitudeModel | None:
    """The attitude model in a user model's checkpoint; None if it was trained without one.

    Raises:
        UserModelError: if it can't be read, or was fitted to other features than this version's.
    """
    path = folder / FILE
    try:
        attitude_model = AttitudeModel.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # not UTF-8, or not what is expected
        raise UserModelError(
            f"cannot read {path}; if an earlier version made it, train it again: {error}"
        ) from error
    # The last feature had another name in earlier versions; it is the same number.
    stored = (*attitude_model.features[:-1], *FEATURES[-1:])
    if (stored, attitude_model.ending_features) != (FEATURES, ENDING_FEATURES):
        raise UserModelError(
            f"{path} was trained with other features than this version has: train it again"
        )
    return attitude_model

"""Fits the learned user's attitude model (`user_models.learned.attitude_model`) to dialogues.

The steps of the procedure, each with predictions for scenarios left out (cross-validation):

1. The plausibility tests, on which the features depend.
2. Argument strength, cumulative stance and delivery: one ridge regression without intercept on
   recorded turns and on negative examples, whose target is 0.
3. The negative reaction: a ridge regression on the residuals of the second, shifted so that only
   residuals below nearly all turns of competent persuaders count.
4. A regression's predictions vary less than its targets, so that no user would ever be won or lost.
   The second regression is scaled until predicted steps have the recorded standard deviation.
5. The decision: a multinomial logistic regression on the attitudes that these steps lead to, which
   gives decisions the recorded frequencies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from persuade_env.dialogue import PersuaderTurn, ScenarioRecord
from persuade_env.errors import UserModelError
from persuade_env.seeding import derive_seed, generator
from persuade_env.text.embedding import Embedder
from persuade_env.text.normalize import one_line
from user_models.learned.attitude_model import Argument, AttitudeModel, cumulative_stance
from user_models.learned.encoder import TurnEncoder
from user_models.learned.features import (
    CUMULATIVE_FEATURES,
    STANCE_FEATURES,
    TextEncoders,
    has_concerns,
)
from user_models.learned.prompt import clean_response
from user_models.learned.semantic_embedding import CommonComponents, SemanticEmbedder
from user_models.learned.training.config import AttitudeModelSettings
from user_models.learned.training.decision_model import fit_decision_model
from user_models.learned.training.examples import (
    TrainingExample,
    negative_examples,
    recorded_examples,
)
from user_models.learned.training.model_samples import ModelSample
from user_models.learned.training.plausibility import fit_plausibility

_STANCE_STEEPNESS = 2.0
"""Standard deviation of the argument of the hyperbolic tangent in the cumulative stance."""

_STANCE_SCALE, _LEVEL_SCALE = 3.0, 10.0
"""Scales of the stance features and of the delivery's intercept relative to the hundreds of
standardised encoding dimensions (1) in one ridge regression: a larger input is penalised less."""

_REACTION_PENALTIES = np.logspace(1, 4, 10)
"""Ridge penalties tried for the negative reaction: hundreds of weights, some hundred turns."""

_FOLDS = 5


def fit_attitude_model(
    records: Sequence[ScenarioRecord],
    seed: int,
    *,
    settings: AttitudeModelSettings | None = None,
    model_samples: Sequence[ModelSample] = (),
    embed: Embedder | None = None,
    encoder: TurnEncoder | None = None,
) -> AttitudeModel:
    """Fits an attitude model to the steps and decisions in `records`; see the module's text.

    Args:
        records: at least two scenarios with a persona with concerns and dialogues with attitudes.
        seed: of the negative examples and the word swaps.
        settings: of the fit.
        model_samples: the chat model's responses with people's at the same points; without them
            plausibility is fitted to word swaps alone.
        embed: static word embeddings.
        encoder: of turns and texts; by default the embedded model's.

    Raises:
        UserModelError: as `check_records`.
    """
    check_records(records)
    settings = settings or AttitudeModelSettings()
    encoder = encoder or TurnEncoder.load()
    common = _common_components(records, encoder)
    plausibility, unseen_plausibility = fit_plausibility(
        persuader_responses(records),
        model_samples,
        encoder.mean_state,
        generator(derive_seed(seed, "exchanged")),
    )

    def plausible(text: str) -> float:
        if text in unseen_plausibility:
            return unseen_plausibility[text]
        return plausibility(encoder.mean_state(text))

    text_encoders = TextEncoders(
        embed or Embedder(), SemanticEmbedder(encoder.mean_state, common), plausible
    )
    recorded = recorded_examples(records, text_encoders, encoder)
    share, step = settings.negative_share, settings.negative_step
    negative = negative_examples(records, share, step, seed, text_encoders, encoder)
    examples = [*recorded, *negative]
    steps = np.asarray([example.step for example in examples])
    is_recorded = np.arange(len(examples)) < len(recorded)
    argument_steps, argument = _fit_argument(examples, is_recorded)
    residuals, reaction_weights, reaction_intercept = _fit_reaction(
        examples, steps - argument_steps
    )
    competent = is_recorded & ~np.asarray([example.poor for example in examples])
    tolerance = float(
        np.quantile(
            residuals[competent if competent.any() else is_recorded], settings.reaction_quantile
        )
    )
    negative_reaction = np.minimum(0.0, residuals - tolerance)

    recorded_steps = steps[is_recorded]
    factor = match_variance(
        float(recorded_steps.std()), argument_steps[is_recorded], negative_reaction[is_recorded]
    )
    predicted = factor * argument_steps[is_recorded] + negative_reaction[is_recorded]
    classes, coefficients, intercepts = fit_decision_model(recorded, predicted)
    errors = np.abs(predicted - recorded_steps)
    median_errors = np.abs(recorded_steps - np.median(recorded_steps))
    return AttitudeModel(
        common=common,
        plausibility=plausibility,
        argument=argument.scaled(factor),
        reaction_weights=tuple(float(weight) for weight in reaction_weights),
        reaction_intercept=reaction_intercept - tolerance,
        ending_classes=tuple(classes),
        ending_weights=tuple(tuple(float(weight) for weight in row) for row in coefficients),
        ending_intercepts=tuple(float(intercept) for intercept in intercepts),
        fit={
            "turns": float(len(recorded)),
            "step_correlation": float(np.corrcoef(predicted, recorded_steps)[0, 1]),
            "step_mean_absolute_error": float(errors.mean()),
            "step_mean_absolute_error_of_the_median": float(median_errors.mean()),
            "stretch": factor,
        },
    )


def check_records(records: Sequence[ScenarioRecord]) -> None:
    """Checks that an attitude model can be fitted to these.

    Raises:
        UserModelError: if fewer than two scenarios have a persona with concerns and a dialogue
            with attitudes.
    """
    if len(usable_records(records)) < 2:
        raise UserModelError(
            "an attitude model is learned from at least two scenarios that have a persona with "
            "concerns and dialogues with attitudes"
        )


def usable_records(records: Sequence[ScenarioRecord]) -> list[ScenarioRecord]:
    """Those with a persona with concerns and a dialogue with attitudes."""
    return [
        record
        for record in records
        if any(
            has_concerns(record.dialogue(recorded))
            and any(getattr(turn, "attitude", None) is not None for turn in recorded.turns[1:])
            for recorded in record.dialogues
        )
    ]


def persuader_responses(records: Sequence[ScenarioRecord]) -> list[tuple[str, str]]:
    """Scenario and cleaned response of each recorded persuader turn."""
    return [
        (record.id, clean_response(turn.response))
        for record in records
        for recorded in record.dialogues
        for turn in recorded.turns
        if isinstance(turn, PersuaderTurn)
    ]


def _common_components(records: Sequence[ScenarioRecord], encoder: TurnEncoder) -> CommonComponents:
    """Of the persuaders' responses in these records and of what settles and worsens concerns."""
    texts = {text for _, text in persuader_responses(records)}
    for record in records:
        for recorded in record.dialogues:
            persona = record.dialogue(recorded).scenario.persona
            for concern in persona.concerns if persona else ():
                texts |= {one_line(concern.settled_by), one_line(concern.worsened_by)}
    return CommonComponents.of(np.stack([encoder.mean_state(text) for text in sorted(texts)]))


def _fit_argument(
    examples: Sequence[TrainingExample], is_recorded: np.ndarray
) -> tuple[np.ndarray, Argument]:
    """Cross-validated steps (n,) of all examples by the argument alone, and the whole fit."""
    turn_features = np.stack([example.features for example in examples])
    encoded_turns = np.stack([example.encoded_turn for example in examples])
    targets = np.where(is_recorded, [example.step for example in examples], 0.0)
    predicted = np.zeros(len(examples))
    for train, test in _folds(examples):
        argument = _argument(
            turn_features[train], encoded_turns[train], targets[train], is_recorded[train]
        )
        predicted[test] = argument.steps(turn_features[test], encoded_turns[test])
    return predicted, _argument(turn_features, encoded_turns, targets, is_recorded)


def _argument(
    turn_features: np.ndarray,
    encoded_turns: np.ndarray,
    targets: np.ndarray,
    is_recorded: np.ndarray,
) -> Argument:
    from sklearn.linear_model import RidgeCV

    stance_features = turn_features[:, : len(STANCE_FEATURES)]
    cumulative = turn_features[
        is_recorded, len(STANCE_FEATURES) : len(STANCE_FEATURES) + len(CUMULATIVE_FEATURES)
    ]
    spread = cumulative.std(axis=0)
    # Both text encoders count alike, whatever the size of their similarities.
    inverse_spread = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    steepness = _STANCE_STEEPNESS / ((cumulative @ inverse_spread).std() + 1e-9)
    cumulative_weights = tuple(float(weight) for weight in steepness * inverse_spread)
    stance_spread = stance_features[is_recorded].std(axis=0) + 1e-9
    encoding_mean, encoding_spread = (
        encoded_turns[is_recorded].mean(axis=0),
        encoded_turns[is_recorded].std(axis=0) + 1e-9,
    )
    # A negative example's stance features are random; only its delivery is to be told from that
    # of recorded turns.
    argument_strength = (
        _STANCE_SCALE * np.where(is_recorded[:, None], stance_features, 0.0) / stance_spread
    )
    delivery = np.column_stack(
        [
            np.full(len(encoded_turns), _LEVEL_SCALE),
            (encoded_turns - encoding_mean) / encoding_spread,
        ]
    )
    inputs = np.hstack(
        [
            argument_strength,
            cumulative_stance(turn_features, cumulative_weights)[:, None] * delivery,
        ]
    )
    # Not centred, and without an intercept: see `user_models.learned.attitude_model`.
    coefficients = RidgeCV(np.logspace(-1, 6, 22), fit_intercept=False).fit(inputs, targets).coef_
    weights, level, delivery_weights = np.split(
        coefficients, [len(STANCE_FEATURES), len(STANCE_FEATURES) + 1]
    )
    delivery_weights = delivery_weights / encoding_spread
    return Argument(
        weights=tuple(float(weight) for weight in _STANCE_SCALE * weights / stance_spread),
        cumulative_weights=cumulative_weights,
        delivery_weights=tuple(float(weight) for weight in delivery_weights),
        delivery_intercept=float(_LEVEL_SCALE * level[0] - encoding_mean @ delivery_weights),
    )


def _fit_reaction(
    examples: Sequence[TrainingExample], residuals: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Cross-validated predictions (n,) of the residuals, weights (hidden size,) and intercept."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inputs = np.stack([example.encoded_turn for example in examples])
    model = make_pipeline(StandardScaler(), RidgeCV(_REACTION_PENALTIES))
    predicted = np.zeros(len(examples))
    for train, test in _folds(examples):
        predicted[test] = model.fit(inputs[train], residuals[train]).predict(inputs[test])
    model.fit(inputs, residuals)
    scaler, ridge = model[0], model[1]
    weights = ridge.coef_ / scaler.scale_
    return predicted, weights, float(ridge.intercept_ - weights @ scaler.mean_)


def _folds(examples: Sequence[TrainingExample]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Indices of training and test examples, split by scenario."""
    from sklearn.model_selection import GroupKFold

    groups = [example.scenario for example in examples]
    return list(GroupKFold(min(_FOLDS, len(set(groups)))).split(groups, groups=groups))


def match_variance(
    spread: float, argument_steps: np.ndarray, negative_reaction: np.ndarray
) -> float:
    """The factor, at least 1, on the argument's steps that gives all steps a standard deviation.

    >>> match_variance(2.0, np.array([-1.0, 1.0]), np.zeros(2))
    2.0

    Args:
        spread: the standard deviation wanted.
        argument_steps: (n,).
        negative_reaction: added to them, (n,).
    """
    variance, covariance = (
        float(argument_steps.var()),
        float(np.cov(argument_steps, negative_reaction, bias=True)[0, 1]),
    )
    missing_variance = spread**2 - float(negative_reaction.var())
    if variance <= 0.0 or missing_variance <= 0.0:
        return 1.0
    root = float(np.sqrt(covariance**2 + variance * missing_variance))
    return max(1.0, (root - covariance) / variance)

"""Fits the learned user's mind (`user_models.learned.attitude_model`) to recorded dialogues."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from persuade_env.dialogue import PersuaderTurn, ScenarioRecord
from persuade_env.errors import UserModelError
from persuade_env.seeding import derive_seed, generator
from persuade_env.text.embedding import Embedder
from persuade_env.text.normalize import one_line
from user_models.learned.attitude_model import (
    CUMULATIVE_FEATURES,
    STANCE_FEATURES,
    Argument,
    AttitudeModel,
    TextEncoders,
    cumulative_stance,
    has_concerns,
)
from user_models.learned.encoder import TurnEncoder, clean_response
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

_FIRMNESS = 2.0
"""Of a case: of a typical one the hyperbolic tangent of this."""

_PULL_SCALE, _CASE_SCALE = 3.0, 10.0
"""How freely pulls and the case itself may count, against each of the hundreds of numbers of the
craft (1), in one ridge regression."""

_PENALTIES = np.logspace(1, 4, 10)
"""Ridge penalties tried for what the ear hears: hundreds of numbers, of some hundred turns."""

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
    """A mind that moves as the persuadees of `records` did.

    Coherence comes first, since what nobody would say is not heeded; of recorded turns by
    tests that have not seen their scenario.
    Reasons, case and craft are one ridge regression without a constant on recorded turns, and on
    fruitless ones, which are to gain nothing by their craft. Displeasure is another one, of what
    this leaves unexplained; of it only what is below nearly all turns of persuaders who
    aren't poor counts. A regression predicts means, which vary less than people do: nobody
    would ever be won or lost. So the first is stretched until, on scenarios that it was not
    fitted to, steps spread as the recorded ones do. The decision is a multinomial logistic
    regression on the attitudes that these steps lead to, so its rates are those of the data.

    Args:
        model_samples: the chat model's words beside people's; without them coherence is learned
            from foreign words alone.

    Raises:
        UserModelError: as `check_records`.
    """
    check_records(records)
    settings = settings or AttitudeModelSettings()
    encoder = encoder or TurnEncoder.load()
    common = _common(records, encoder)
    plausibility, counts = fit_plausibility(
        spoken_turns(records),
        model_samples,
        encoder.meaning,
        generator(derive_seed(seed, "exchanged")),
    )

    def plausible(text: str) -> float:
        return counts[text] if text in counts else plausibility(encoder.meaning(text))

    text_encoders = TextEncoders(
        embed or Embedder(), SemanticEmbedder(encoder.meaning, common), plausible
    )
    real = recorded_examples(records, text_encoders, encoder)
    share, step = settings.negative_share, settings.negative_step
    rows = [*real, *negative_examples(records, share, step, seed, text_encoders, encoder)]
    steps = np.asarray([one.step for one in rows])
    recorded = np.arange(len(rows)) < len(real)
    argued, argument = _fit_argument(rows, recorded)
    left, reaction_weights, reaction_intercept = _fit_reaction(rows, steps - argued)
    fine = recorded & ~np.asarray([one.poor for one in rows])
    tolerated = float(
        np.quantile(left[fine if fine.any() else recorded], settings.reaction_quantile)
    )
    negative_reaction = np.minimum(0.0, left - tolerated)

    felt = steps[recorded]
    stretch = match_variance(float(felt.std()), argued[recorded], negative_reaction[recorded])
    unseen = stretch * argued[recorded] + negative_reaction[recorded]
    classes, coefficients, offsets = fit_decision_model(real, unseen)
    return AttitudeModel(
        common=common,
        plausibility=plausibility,
        argument=argument.scaled(stretch),
        reaction_weights=tuple(float(one) for one in reaction_weights),
        reaction_intercept=reaction_intercept - tolerated,
        ending_classes=tuple(classes),
        ending_weights=tuple(tuple(float(x) for x in row) for row in coefficients),
        ending_intercepts=tuple(float(one) for one in offsets),
        fit={
            "turns": float(len(real)),
            "step_correlation": float(np.corrcoef(unseen, felt)[0, 1]),
            "step_mean_absolute_error": float(np.abs(unseen - felt).mean()),
            "step_mean_absolute_error_of_the_median": float(np.abs(felt - np.median(felt)).mean()),
            "stretch": stretch,
        },
    )


def check_records(records: Sequence[ScenarioRecord]) -> None:
    """Whether a mind can be learned from these.

    Raises:
        UserModelError: if fewer than two scenarios have a persona with concerns and a dialogue
            with attitudes.
    """
    usable = [
        record
        for record in records
        if any(
            has_concerns(record.dialogue(recorded))
            and any(getattr(turn, "attitude", None) is not None for turn in recorded.turns[1:])
            for recorded in record.dialogues
        )
    ]
    if len(usable) < 2:
        raise UserModelError(
            "a mind is learned from at least two scenarios that have a persona with concerns and "
            "dialogues with attitudes"
        )


def spoken_turns(records: Sequence[ScenarioRecord]) -> list[tuple[str, str]]:
    """Scenario and text of each persuader turn, as it is heard."""
    return [
        (record.id, clean_response(turn.response))
        for record in records
        for recorded in record.dialogues
        for turn in recorded.turns
        if isinstance(turn, PersuaderTurn)
    ]


def _common(records: Sequence[ScenarioRecord], encoder: TurnEncoder) -> CommonComponents:
    """Of what persuaders say in these records and of what is written about concerns."""
    texts = {text for _, text in spoken_turns(records)}
    for record in records:
        for recorded in record.dialogues:
            persona = record.dialogue(recorded).scenario.persona
            for concern in persona.concerns if persona else ():
                texts |= {one_line(concern.settled_by), one_line(concern.worsened_by)}
    return CommonComponents.of(np.stack([encoder.meaning(text) for text in sorted(texts)]))


def _fit_argument(
    rows: Sequence[TrainingExample], recorded: np.ndarray
) -> tuple[np.ndarray, Argument]:
    """Out-of-scenario steps (n,) of all rows by reasons and case alone, and what is learned."""
    turn_features = np.stack([one.features for one in rows])
    encoded_turns = np.stack([example.encoded_turn for example in rows])
    steps = np.where(recorded, [one.step for one in rows], 0.0)
    unseen = np.zeros(len(rows))
    for train, test in _folds(rows):
        argument = _argument(
            turn_features[train], encoded_turns[train], steps[train], recorded[train]
        )
        unseen[test] = argument.steps(turn_features[test], encoded_turns[test])
    return unseen, _argument(turn_features, encoded_turns, steps, recorded)


def _argument(
    turn_features: np.ndarray, encoded_turns: np.ndarray, steps: np.ndarray, recorded: np.ndarray
) -> Argument:
    from sklearn.linear_model import RidgeCV

    stance_features = turn_features[:, : len(STANCE_FEATURES)]
    leans = turn_features[
        recorded, len(STANCE_FEATURES) : len(STANCE_FEATURES) + len(CUMULATIVE_FEATURES)
    ]
    spread = leans.std(axis=0)
    # Both senses count alike, whatever the size of their likenesses.
    alike = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    firmness = _FIRMNESS / ((leans @ alike).std() + 1e-9)
    cumulative_weights = tuple(float(one) for one in firmness * alike)
    pull_scale = stance_features[recorded].std(axis=0) + 1e-9
    heard_mean, heard_scale = (
        encoded_turns[recorded].mean(axis=0),
        encoded_turns[recorded].std(axis=0) + 1e-9,
    )
    # A fruitless turn's pulls are chance; only its craft is to be told from that of recorded ones.
    argument_strength = _PULL_SCALE * np.where(recorded[:, None], stance_features, 0.0) / pull_scale
    delivery = np.column_stack(
        [np.full(len(encoded_turns), _CASE_SCALE), (encoded_turns - heard_mean) / heard_scale]
    )
    inputs = np.hstack(
        [
            argument_strength,
            cumulative_stance(turn_features, cumulative_weights)[:, None] * delivery,
        ]
    )
    # Not centred, and without a constant: see `user_models.learned.attitude_model`.
    found = RidgeCV(np.logspace(-1, 6, 22), fit_intercept=False).fit(inputs, steps).coef_
    weights, level, delivery_weights = np.split(
        found, [len(STANCE_FEATURES), len(STANCE_FEATURES) + 1]
    )
    delivery_weights = delivery_weights / heard_scale
    return Argument(
        weights=tuple(float(one) for one in _PULL_SCALE * weights / pull_scale),
        cumulative_weights=cumulative_weights,
        delivery_weights=tuple(float(one) for one in delivery_weights),
        delivery_intercept=float(_CASE_SCALE * level[0] - heard_mean @ delivery_weights),
    )


def _fit_reaction(
    rows: Sequence[TrainingExample], left: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Out-of-scenario predictions (n,) of `left`, and weights (hidden size,) and constant."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inputs = np.stack([example.encoded_turn for example in rows])
    model = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))
    unseen = np.zeros(len(rows))
    for train, test in _folds(rows):
        unseen[test] = model.fit(inputs[train], left[train]).predict(inputs[test])
    model.fit(inputs, left)
    scaler, ridge = model[0], model[1]
    weights = ridge.coef_ / scaler.scale_
    return unseen, weights, float(ridge.intercept_ - weights @ scaler.mean_)


def _folds(rows: Sequence[TrainingExample]) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import GroupKFold

    groups = [one.scenario for one in rows]
    return list(GroupKFold(min(_FOLDS, len(set(groups)))).split(groups, groups=groups))


def match_variance(
    spread: float, argument_strength: np.ndarray, negative_reaction: np.ndarray
) -> float:
    """By what reasons are multiplied so that steps have this standard deviation; at least 1."""
    variance, between = (
        float(argument_strength.var()),
        float(np.cov(argument_strength, negative_reaction, bias=True)[0, 1]),
    )
    lacking = spread**2 - float(negative_reaction.var())
    if variance <= 0.0 or lacking <= 0.0:
        return 1.0
    root = float(np.sqrt(between**2 + variance * lacking))
    return max(1.0, (root - between) / variance)

"""Fits the learned user's mind (`user_models.mind`) to recorded dialogues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from persuade_env.dialogue import (
    Decision,
    Dialogue,
    PersuadeeTurn,
    PersuaderTurn,
    ScenarioRecord,
)
from persuade_env.embedding import Embedder
from persuade_env.errors import UserModelError
from persuade_env.seeding import derive_seed, generator
from user_models.mind import Mind, clipped, features, has_concerns

_IDLE = (
    "You have such good taste, it shows in everything you do.",
    "I've always looked up to you, you know that.",
    "What a lovely voice you have when you are thinking.",
    "Someone as sharp as you doesn't need me to explain anything.",
    "Oh please, please, please. Do it for me.",
    "There is nothing to think about. Say yes and we're done.",
    "Everybody else has agreed already, only you are missing.",
    "I won't leave until you agree.",
    "You will be sorry if you don't, mark my words.",
    "It is simply the best thing to do, believe me.",
    "Have you tried the plum cake at the corner? It was still warm.",
    "My cousin got a parrot that can say the alphabet backwards.",
    "They forecast fog for the whole week, can you imagine?",
    "I read that octopuses have three hearts.",
    "Anyway. How is your mother?",
    "It's important. It really is very, very important.",
)
"""Flattery, pushing and small talk: said to anybody about anything, they give no reason. None
of them is a line of the benchmark's controls."""

_SILENCE, _SMALL_TALK, _REPETITION = 0.15, 0.25, 0.25
"""How often a fruitless turn is of these kinds; otherwise it is a turn from another scenario."""

_FOLDS = 5


@dataclass(frozen=True)
class MindSettings:
    """How the mind is fitted."""

    fruitless_share: float = 0.5
    """Fruitless turns per recorded one: silence, small talk, a repetition, a turn from another
    scenario. They give no reason, so they must not raise the attitude."""
    fruitless_step: float = -0.25
    """What such a turn does to the attitude: being talked past is not neutral. Recorded turns of
    poor persuaders cost 0.2 on average."""


@dataclass(frozen=True)
class _Heard:
    """One persuader turn, and what it did."""

    scenario: str
    dialogue: str
    features: np.ndarray
    step: float
    decision: Decision | None
    """None for a made-up fruitless turn, after which nobody was recorded to decide."""
    initial_attitude: float = 0.0
    stubbornness: float = 0.0


def fit_mind(
    records: Sequence[ScenarioRecord],
    seed: int,
    *,
    settings: MindSettings | None = None,
    embed: Embedder | None = None,
) -> Mind:
    """A mind that moves as the persuadees of `records` did.

    The step is a ridge regression. A regression predicts means, which vary less than people
    do: nobody would ever be won or lost. So its steps are stretched about their mean until, on
    scenarios it was not fitted to, they spread as the recorded ones do. The decision is a
    multinomial logistic regression on the attitudes that these steps lead to, so its rates
    are those of the data.

    Raises:
        UserModelError: if no dialogue has attitudes and a persona with concerns.
    """
    from sklearn.linear_model import LogisticRegression

    settings = settings or MindSettings()
    embed = embed or Embedder()
    real = _recorded(records, embed)
    if len({one.scenario for one in real}) < 2:
        raise UserModelError(
            "a mind is learned from at least two scenarios that have a persona with concerns and "
            "dialogues with attitudes"
        )
    made_up = _fruitless_rows(records, settings, seed, embed)
    rows = [*real, *made_up]
    unseen, weights, intercept = _fit_steps(rows)
    unseen = unseen[: len(real)]
    steps = np.asarray([one.step for one in real])
    centre, spread = float(unseen.mean()), float(unseen.std())
    stretch = max(1.0, float(steps.std()) / spread) if spread > 0 else 1.0
    stretched = centre + stretch * (unseen - centre)

    ends = _ending_features(real, stretched)
    decisions = [str(one.decision) for one in real]
    ending = LogisticRegression(C=10.0, max_iter=2000).fit(ends, decisions)
    classes = [str(one) for one in ending.classes_]
    coefficients, offsets = ending.coef_, ending.intercept_
    if len(classes) == 2:  # scikit-learn then keeps the second class's scores alone
        coefficients = np.stack([np.zeros_like(coefficients[0]), coefficients[0]])
        offsets = np.asarray([0.0, offsets[0]])
    return Mind(
        weights=tuple(float(one) for one in stretch * weights),
        intercept=float(centre + stretch * (intercept - centre)),
        ending_classes=tuple(classes),
        ending_weights=tuple(tuple(float(x) for x in row) for row in coefficients),
        ending_intercepts=tuple(float(one) for one in offsets),
        fit={
            "turns": float(len(real)),
            "step_correlation": float(np.corrcoef(unseen, steps)[0, 1]),
            "step_mean_absolute_error": float(np.abs(unseen - steps).mean()),
            "step_mean_absolute_error_of_the_median": float(
                np.abs(steps - np.median(steps)).mean()
            ),
            "stretch": stretch,
        },
    )


def _fit_steps(rows: Sequence[_Heard]) -> tuple[np.ndarray, np.ndarray, float]:
    """Out-of-scenario predictions (n,), and the weights (n_features,) and intercept of all."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inputs = np.stack([one.features for one in rows])
    steps = np.asarray([one.step for one in rows])
    groups = [one.scenario for one in rows]
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 20)))
    folds = GroupKFold(min(_FOLDS, len(set(groups))))
    unseen = cross_val_predict(model, inputs, steps, cv=folds, groups=groups)
    model.fit(inputs, steps)
    scaler, ridge = model[0], model[1]
    weights = ridge.coef_ / scaler.scale_
    return unseen, weights, float(ridge.intercept_ - weights @ scaler.mean_)


def _recorded(records: Sequence[ScenarioRecord], embed: Embedder) -> list[_Heard]:
    heard = []
    for record in records:
        for recorded in record.dialogues:
            whole = record.dialogue(recorded)
            if not has_concerns(whole):
                continue
            persona = whole.scenario.persona
            before = whole.scenario.initial_attitude
            for place, turn in enumerate(whole.turns):
                if not isinstance(turn, PersuadeeTurn) or turn.attitude is None or not place:
                    continue
                heard.append(
                    _Heard(
                        record.id,
                        recorded.id,
                        features(_until(whole, place), embed),
                        turn.attitude - before,
                        turn.decision,
                        whole.scenario.initial_attitude,
                        persona.stubbornness if persona else 0.5,
                    )
                )
                before = turn.attitude
    return heard


def _until(dialogue: Dialogue, place: int, last: PersuaderTurn | None = None) -> Dialogue:
    """The turns before `place`, the last of them replaced where another one is given."""
    turns = dialogue.turns[:place] if last is None else (*dialogue.turns[: place - 1], last)
    return Dialogue.model_construct(scenario=dialogue.scenario, turns=turns)


def _fruitless_rows(
    records: Sequence[ScenarioRecord], settings: MindSettings, seed: int, embed: Embedder
) -> list[_Heard]:
    spoken = [
        (record.id, turn)
        for record in records
        for dialogue in record.dialogues
        for turn in dialogue.turns
        if isinstance(turn, PersuaderTurn)
    ]
    made_up = []
    for record in records:
        foreign = [turn for other, turn in spoken if other != record.id]
        for recorded in record.dialogues:
            whole = record.dialogue(recorded)
            rng = generator(derive_seed(seed, "fruitless", record.id, recorded.id))
            for place, turn in enumerate(whole.turns):
                if not isinstance(turn, PersuadeeTurn) or not place or not has_concerns(whole):
                    continue
                if rng.random() >= settings.fruitless_share:
                    continue
                said = _fruitless(whole.turns[: place - 1], foreign, rng)
                made_up.append(
                    _Heard(
                        record.id,
                        recorded.id,
                        features(_until(whole, place, said), embed),
                        settings.fruitless_step,
                        None,
                    )
                )
    return made_up


def _fruitless(
    before: Sequence[PersuaderTurn | PersuadeeTurn],
    foreign: Sequence[PersuaderTurn],
    rng: np.random.Generator,
) -> PersuaderTurn:
    earlier = [turn for turn in before if isinstance(turn, PersuaderTurn)]
    kind = rng.random()
    if kind < _SILENCE:
        return PersuaderTurn(response="")
    if kind < _SILENCE + _SMALL_TALK:
        return PersuaderTurn(response=_IDLE[int(rng.integers(len(_IDLE)))])
    if kind < _SILENCE + _SMALL_TALK + _REPETITION and earlier:
        return earlier[int(rng.integers(len(earlier)))]
    return foreign[int(rng.integers(len(foreign)))]


def _ending_features(real: Sequence[_Heard], steps: np.ndarray) -> np.ndarray:
    """`ENDING_FEATURES` along each dialogue, had the attitude moved by these steps; (n, 4)."""
    rows: list[list[float]] = []
    current: tuple[str, str] | None = None
    attitude, turn = 0.0, 0
    for one, step in zip(real, steps, strict=True):
        if (one.scenario, one.dialogue) != current:
            current, attitude, turn = (one.scenario, one.dialogue), one.initial_attitude, 0
        attitude, turn = clipped(attitude + float(step)), turn + 1
        rows.append([attitude, float(step), one.stubbornness, float(turn)])
    return np.asarray(rows)

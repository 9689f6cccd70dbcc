"""Fits the learned user's mind (`user_models.mind`) to recorded dialogues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
from persuade_env.turn_format import one_line
from user_models.ear import heard_words
from user_models.meaning import Common, Meaning, Sense
from user_models.mind import (
    CASE,
    PULLS,
    Mind,
    case,
    clipped,
    end_shares,
    features,
    has_concerns,
)

if TYPE_CHECKING:
    from user_models.ear import Ear

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

_SILENCE, _SMALL_TALK, _REPETITION, _SCRAMBLED = 0.15, 0.2, 0.15, 0.2
"""How often a fruitless turn is of these kinds; otherwise it is a turn from another scenario."""

_FIRMNESS = 2.0
"""Of a case: of a typical one the hyperbolic tangent of this."""

_PULL_SCALE, _CASE_SCALE = 3.0, 10.0
"""How freely pulls and the case itself may count, against each of the hundreds of numbers of the
craft (1), in one ridge regression."""

_PENALTIES = np.logspace(1, 4, 10)
"""Ridge penalties tried for what the ear hears: hundreds of numbers, of some hundred turns."""

_FOLDS = 5

_SUREST = 2.0
"""Nats by which a decision may be made likelier, or less likely, than the fit says."""


@dataclass(frozen=True)
class MindSettings:
    """How the mind is fitted."""

    fruitless_share: float = 1.0
    """Fruitless turns per recorded one: silence, small talk, a repetition, words in no order, a
    turn from another scenario. They give no reason, so they must not raise the attitude."""
    fruitless_step: float = -0.25
    """What such a turn does to the attitude: being talked past is not neutral. Recorded turns of
    poor persuaders cost 0.2 on average."""
    touchiness: float = 0.2
    """Share of the turns of persuaders who aren't poor that displease a little nevertheless."""


@dataclass(frozen=True)
class _Heard:
    """One persuader turn, and what it did."""

    scenario: str
    dialogue: str
    poor: bool
    """Whether the persuader is one of whom that is known."""
    features: np.ndarray
    heard: np.ndarray
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
    ear: Ear | None = None,
) -> Mind:
    """A mind that moves as the persuadees of `records` did.

    Reasons, case and craft are one ridge regression without a constant on recorded turns, and on
    fruitless ones, which are to gain nothing by their craft. Displeasure is another one, of what
    this leaves unexplained; of it only what is below nearly all turns of persuaders who
    aren't poor counts. A regression predicts means, which vary less than people do: nobody
    would ever be won or lost. So the first is stretched until, on scenarios that it was not
    fitted to, steps spread as the recorded ones do. The decision is a multinomial logistic
    regression on the attitudes that these steps lead to, so its rates are those of the data.

    Raises:
        UserModelError: if no dialogue has attitudes and a persona with concerns.
    """
    settings = settings or MindSettings()
    from user_models.ear import Ear as LoadedEar

    ear = ear or LoadedEar.load()
    common = _common(records, ear)
    senses = embed or Embedder(), Meaning(ear.meaning, common)
    real = _recorded(records, senses, ear)
    if len({one.scenario for one in real}) < 2:
        raise UserModelError(
            "a mind is learned from at least two scenarios that have a persona with concerns and "
            "dialogues with attitudes"
        )
    rows = [*real, *_fruitless_rows(records, settings, seed, senses, ear)]
    steps = np.asarray([one.step for one in rows])
    recorded = np.arange(len(rows)) < len(real)
    argued, argument = _fit_argument(rows, recorded)
    left, hearing_weights, hearing_intercept = _fit_hearing(rows, steps - argued)
    fine = recorded & ~np.asarray([one.poor for one in rows])
    tolerated = float(np.quantile(left[fine if fine.any() else recorded], settings.touchiness))
    displeasure = np.minimum(0.0, left - tolerated)

    felt = steps[recorded]
    stretch = stretch_to(float(felt.std()), argued[recorded], displeasure[recorded])
    unseen = stretch * argued[recorded] + displeasure[recorded]
    classes, coefficients, offsets = _fit_ending(real, unseen)
    return Mind(
        common=common,
        weights=tuple(float(one) for one in stretch * argument.weights),
        case_weights=argument.case_weights,
        craft_weights=tuple(float(one) for one in stretch * argument.craft_weights),
        craft_intercept=stretch * argument.craft_intercept,
        hearing_weights=tuple(float(one) for one in hearing_weights),
        hearing_intercept=hearing_intercept - tolerated,
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


def _common(records: Sequence[ScenarioRecord], ear: Ear) -> Common:
    """Of what persuaders say in these records and of what is written about concerns."""
    texts = {
        heard_words(turn.response)
        for record in records
        for recorded in record.dialogues
        for turn in recorded.turns
        if isinstance(turn, PersuaderTurn)
    }
    for record in records:
        for recorded in record.dialogues:
            persona = record.dialogue(recorded).scenario.persona
            for concern in persona.concerns if persona else ():
                texts |= {one_line(concern.settled_by), one_line(concern.worsened_by)}
    return Common.of(np.stack([ear.meaning(text) for text in sorted(texts)]))


@dataclass(frozen=True)
class _Argument:
    """Reasons, case and craft; see `Mind`."""

    weights: np.ndarray
    case_weights: tuple[float, ...]
    craft_weights: np.ndarray
    craft_intercept: float

    def steps(self, said: np.ndarray, heard: np.ndarray) -> np.ndarray:
        """What they do to an attitude, (n,)."""
        craft = np.maximum(0.0, heard @ self.craft_weights + self.craft_intercept)
        reasons = said[:, : len(PULLS)] @ self.weights
        return np.asarray(reasons + case(said, self.case_weights) * craft)


def _fit_argument(rows: Sequence[_Heard], recorded: np.ndarray) -> tuple[np.ndarray, _Argument]:
    """Out-of-scenario steps (n,) of all rows by reasons and case alone, and what is learned."""
    said = np.stack([one.features for one in rows])
    heard = np.stack([one.heard for one in rows])
    steps = np.where(recorded, [one.step for one in rows], 0.0)
    unseen = np.zeros(len(rows))
    for train, test in _folds(rows):
        argument = _argument(said[train], heard[train], steps[train], recorded[train])
        unseen[test] = argument.steps(said[test], heard[test])
    return unseen, _argument(said, heard, steps, recorded)


def _argument(
    said: np.ndarray, heard: np.ndarray, steps: np.ndarray, recorded: np.ndarray
) -> _Argument:
    from sklearn.linear_model import RidgeCV

    pulls = said[:, : len(PULLS)]
    leans = said[recorded, len(PULLS) : len(PULLS) + len(CASE)]
    spread = leans.std(axis=0)
    alike = np.divide(
        1.0, spread, out=np.zeros_like(spread), where=spread > 0
    )  # senses count alike
    firmness = _FIRMNESS / ((leans @ alike).std() + 1e-9)
    case_weights = tuple(float(one) for one in firmness * alike)
    pull_scale = pulls[recorded].std(axis=0) + 1e-9
    heard_mean, heard_scale = heard[recorded].mean(axis=0), heard[recorded].std(axis=0) + 1e-9
    # A fruitless turn's pulls are chance; only its craft is to be told from that of recorded ones.
    reasons = _PULL_SCALE * np.where(recorded[:, None], pulls, 0.0) / pull_scale
    craft = np.column_stack([np.full(len(heard), _CASE_SCALE), (heard - heard_mean) / heard_scale])
    inputs = np.hstack([reasons, case(said, case_weights)[:, None] * craft])
    # Not centred, and without a constant: see `user_models.mind`.
    found = RidgeCV(np.logspace(-1, 6, 22), fit_intercept=False).fit(inputs, steps).coef_
    weights, level, craft_weights = np.split(found, [len(PULLS), len(PULLS) + 1])
    craft_weights = craft_weights / heard_scale
    return _Argument(
        _PULL_SCALE * weights / pull_scale,
        case_weights,
        craft_weights,
        float(_CASE_SCALE * level[0] - heard_mean @ craft_weights),
    )


def _fit_hearing(rows: Sequence[_Heard], left: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Out-of-scenario predictions (n,) of `left`, and weights (hidden size,) and constant."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inputs = np.stack([one.heard for one in rows])
    model = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))
    unseen = np.zeros(len(rows))
    for train, test in _folds(rows):
        unseen[test] = model.fit(inputs[train], left[train]).predict(inputs[test])
    model.fit(inputs, left)
    scaler, ridge = model[0], model[1]
    weights = ridge.coef_ / scaler.scale_
    return unseen, weights, float(ridge.intercept_ - weights @ scaler.mean_)


def _folds(rows: Sequence[_Heard]) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import GroupKFold

    groups = [one.scenario for one in rows]
    return list(GroupKFold(min(_FOLDS, len(set(groups)))).split(groups, groups=groups))


def stretch_to(spread: float, reasons: np.ndarray, displeasure: np.ndarray) -> float:
    """By what reasons are multiplied so that steps have this standard deviation; at least 1."""
    variance, between = float(reasons.var()), float(np.cov(reasons, displeasure, bias=True)[0, 1])
    lacking = spread**2 - float(displeasure.var())
    if variance <= 0.0 or lacking <= 0.0:
        return 1.0
    root = float(np.sqrt(between**2 + variance * lacking))
    return max(1.0, (root - between) / variance)


def _fit_ending(
    real: Sequence[_Heard], steps: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Classes, weights (n_classes, 4) and constants (n_classes,) of the decision."""
    from sklearn.linear_model import LogisticRegression

    decisions = [str(one.decision) for one in real]
    ending = LogisticRegression(C=10.0, max_iter=2000)
    ending.fit(_ending_features(real, steps), decisions)
    coefficients, offsets = ending.coef_, ending.intercept_
    if len(ending.classes_) == 2:  # scikit-learn then keeps the second class's scores alone
        coefficients = np.stack([np.zeros_like(coefficients[0]), coefficients[0]])
        offsets = np.asarray([0.0, offsets[0]])
    classes = [str(one) for one in ending.classes_]
    inputs = _ending_features(real, steps)
    for place, name in enumerate(classes):
        if name != "continue":
            scores = inputs @ coefficients.T + offsets
            offsets = offsets.copy()
            offsets[place] += surer(name, decisions, scores, inputs[:, 0], classes)
    return classes, coefficients, offsets


def surer(
    name: str,
    decisions: Sequence[str],
    scores: np.ndarray,
    attitudes: np.ndarray,
    classes: Sequence[str],
) -> float:
    """What to add to a decision's scores (n, n_classes) to get it as often as it is recorded.

    People accept and walk away at attitudes that the mind often doesn't reach, and nobody does
    where nobody does, so without this ends were a third as many as recorded.
    """
    from scipy.optimize import brentq

    own = np.asarray(classes) == name
    kind = ("accept", "refuse").index(name)
    recorded = decisions.count(name)

    def surplus(more: float) -> float:
        shares = end_shares(scores + more * own, attitudes, classes)[kind]
        return float(shares.sum()) - recorded

    low, high = -_SUREST, _SUREST
    if surplus(high) <= 0:
        return high
    return low if surplus(low) >= 0 else float(brentq(surplus, low, high))


def _recorded(
    records: Sequence[ScenarioRecord], senses: tuple[Sense, Sense], ear: Ear
) -> list[_Heard]:
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
                said = _until(whole, place)
                heard.append(
                    _Heard(
                        record.id,
                        recorded.id,
                        recorded.quality == "poor",
                        features(said, *senses),
                        ear([said])[0],
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
    records: Sequence[ScenarioRecord],
    settings: MindSettings,
    seed: int,
    senses: tuple[Sense, Sense],
    ear: Ear,
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
                said = _until(whole, place, _fruitless(whole.turns[:place], foreign, rng))
                made_up.append(
                    _Heard(
                        record.id,
                        recorded.id,
                        recorded.quality == "poor",
                        features(said, *senses),
                        ear([said])[0],
                        settings.fruitless_step,
                        None,
                    )
                )
    return made_up


def _fruitless(
    until: Sequence[PersuaderTurn | PersuadeeTurn],
    foreign: Sequence[PersuaderTurn],
    rng: np.random.Generator,
) -> PersuaderTurn:
    """Something to say in place of the last of these turns that gives no reason."""
    spoken = [turn for turn in until if isinstance(turn, PersuaderTurn)]
    earlier, last = spoken[:-1], spoken[-1]
    kind = rng.random()
    if kind < _SILENCE:
        return PersuaderTurn(response="")
    if kind < _SILENCE + _SMALL_TALK:
        return PersuaderTurn(response=_IDLE[int(rng.integers(len(_IDLE)))])
    if kind < _SILENCE + _SMALL_TALK + _REPETITION and earlier:
        return earlier[int(rng.integers(len(earlier)))]
    if kind < _SILENCE + _SMALL_TALK + _REPETITION + _SCRAMBLED:
        return PersuaderTurn(response=" ".join(rng.permutation(last.response.split())))
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

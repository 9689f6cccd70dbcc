"""Fits the Bradley–Terry judge (`persuade_env.judges.learned`) by penalized logistic regression.

Each recorded pair of a competent and a poor dialogue of one scenario is a comparison that the
competent one wins. Added to these are comparisons with constructed negative examples: the
competent dialogue with empty, repeated, off-topic or recited persuader turns, which recorded
persuaders rarely produce. Fitting draws no random numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from persuade_env.dialogue import Dialogue, PersuaderTurn, ScenarioRecord
from persuade_env.errors import JudgeError
from persuade_env.judges.learned import (
    ANSWER_FEATURES,
    SIGNS,
    TURN_FEATURES,
    DialogueFeatures,
    LearnedJudge,
    dialogue_features,
    read_learned_judge,
)
from persuade_env.llm.pool import ModelPool
from persuade_env.scenarios import load_corpus
from persuade_env.text.embedding import Embedder

PENALTY = 1.0
"""L2 penalty on the weights of standardized features: a normal prior of variance 1."""
FOLDS = 7
"""Folds of the cross-validation, which are groups of domains."""
NEGATIVE_SHARE = 0.5
"""Total weight of a scenario's negative examples, relative to its recorded comparisons."""
_LENGTH_PERCENTILES = (2.0, 98.0)


@dataclass(frozen=True)
class RecordedPair:
    """A competent and a poor dialogue of one scenario."""

    scenario: str
    domain: str
    kind: str
    """The better dialogue's id: `competent`, `mended`, `harder` in the corpus."""
    better: Dialogue
    worse: Dialogue


@dataclass(frozen=True)
class HeldOutPair:
    """A pair, and the log odds for its better dialogue by a judge fitted without its domain."""

    pair: RecordedPair
    score: float
    judge: LearnedJudge


def recorded_pairs(records: Sequence[ScenarioRecord]) -> list[RecordedPair]:
    """Every competent dialogue paired with every poor one of its scenario.

    >>> recorded_pairs(load_corpus()[:1])[0].kind
    'competent'
    """
    return [
        RecordedPair(
            record.id, record.domain, better.id, record.dialogue(better), record.dialogue(worse)
        )
        for record in records
        for better in record.dialogues
        if better.quality == "competent"
        for worse in record.dialogues
        if worse.quality == "poor"
    ]


def from_spec(path: str = "", *, models: ModelPool | None = None) -> LearnedJudge:
    """The judge of a file, or one fitted to the training split, which takes a second or two.

    Args:
        path: of a JSON file; empty for a newly fitted judge.
        models: the pool that keeps the fitted judge.

    Raises:
        JudgeError: if the file can't be read, or scipy is not installed.
    """
    if path:
        return read_learned_judge(Path(path))
    pool = models or ModelPool()
    return pool.get(("judge", "learned"), lambda: fit_judge(load_corpus("train")))


def fit_judge(records: Sequence[ScenarioRecord], *, embed: Embedder | None = None) -> LearnedJudge:
    """Fits a judge to the pairs of competent and poor dialogues in `records`.

    Two logistic regressions without intercept on differences of features, with each weight
    constrained to its sign; every scenario has the same total weight, however many pairs it has.

    Args:
        records: scenarios with recorded dialogues, of at least two domains.
        embed: gives the similarities; a new embedder by default.

    Raises:
        JudgeError: if fewer than two domains have a pair, or scipy is not installed.
    """
    pairs = recorded_pairs(records)
    if len({pair.domain for pair in pairs}) < 2:
        raise JudgeError(
            "a judge is learned from competent and poor dialogues of the same scenarios, in at "
            "least two domains"
        )
    features = _pair_features(pairs, embed or Embedder())
    judge = _fit(pairs, features)
    held_out = _cross_validate(pairs, features)
    fit = {
        "pairs": float(len(pairs)),
        "unseen_domain_accuracy": float(np.mean([_win(pair.score) for pair in held_out])),
    }
    return judge.model_copy(update={"fit": fit})


def unseen_domains(
    records: Sequence[ScenarioRecord], *, embed: Embedder | None = None
) -> list[HeldOutPair]:
    """Cross-validation over domains: every pair is scored by a judge fitted without its domain.

    Args:
        records: scenarios with recorded dialogues, of at least three domains.
        embed: gives the similarities; a new embedder by default.

    Raises:
        JudgeError: as `fit_judge`.
    """
    pairs = recorded_pairs(records)
    if len({pair.domain for pair in pairs}) < 3:
        raise JudgeError("unseen domains need competent and poor dialogues in at least three")
    return _cross_validate(pairs, _pair_features(pairs, embed or Embedder()))


@dataclass(frozen=True)
class _PairFeatures:
    better: DialogueFeatures
    worse: DialogueFeatures
    negatives: tuple[DialogueFeatures, ...]
    """Of the negative examples made from the better dialogue."""


def _pair_features(pairs: Sequence[RecordedPair], embed: Embedder) -> list[_PairFeatures]:
    return [
        _PairFeatures(
            dialogue_features(pair.better, 0, embed),
            dialogue_features(pair.worse, 0, embed),
            tuple(
                dialogue_features(negative, 0, embed)
                for negative in _negative_examples(pair, _other_domain(pairs, index))
            ),
        )
        for index, pair in enumerate(pairs)
    ]


def _other_domain(pairs: Sequence[RecordedPair], index: int) -> Dialogue:
    """The better dialogue of the next pair of another domain."""
    following = [*pairs[index + 1 :], *pairs[:index]]
    return next(pair.better for pair in following if pair.domain != pairs[index].domain)


def _negative_examples(pair: RecordedPair, off_topic: Dialogue) -> list[Dialogue]:
    """The better dialogue with empty, repeated, off-topic and recited persuader turns.

    Recorded persuaders do none of that, so recorded pairs alone can't teach that it is worse.
    """
    responses = [turn.response for turn in pair.better.persuader_turns]
    unrelated = [turn.response for turn in off_topic.persuader_turns]
    facts = pair.better.scenario.facts or (pair.better.scenario.background,)
    return [
        _with_responses(pair.better, [texts[turn % len(texts)] for turn in range(len(responses))])
        for texts in ([""], responses[:1], unrelated, facts)
    ]


def _with_responses(dialogue: Dialogue, responses: Sequence[str]) -> Dialogue:
    """The dialogue with the persuader's responses replaced and the answers unchanged."""
    remaining = iter(responses)
    turns = tuple(
        turn.model_copy(update={"response": next(remaining)})
        if isinstance(turn, PersuaderTurn)
        else turn
        for turn in dialogue.turns
    )
    return Dialogue.model_construct(scenario=dialogue.scenario, turns=turns)


def _cross_validate(
    pairs: Sequence[RecordedPair], features: Sequence[_PairFeatures]
) -> list[HeldOutPair]:
    domains = sorted({pair.domain for pair in pairs})
    folds = min(FOLDS, len(domains))
    fold = {domain: index % folds for index, domain in enumerate(domains)}
    judges = []
    for held_out in range(folds):
        rest = [index for index, pair in enumerate(pairs) if fold[pair.domain] != held_out]
        judges.append(_fit([pairs[index] for index in rest], [features[index] for index in rest]))
    scores = [judges[fold[pair.domain]].scores([(pair.better, pair.worse)])[0] for pair in pairs]
    return [
        HeldOutPair(pair, score, judges[fold[pair.domain]])
        for pair, score in zip(pairs, scores, strict=True)
    ]


def _win(score: float) -> float:
    return 0.5 if score == 0 else float(score > 0)


def _fit(pairs: Sequence[RecordedPair], features: Sequence[_PairFeatures]) -> LearnedJudge:
    recorded = [dialogue for pair in features for dialogue in (pair.better, pair.worse)]
    turns = np.concatenate([dialogue.turns for dialogue in recorded])
    log_lengths = np.concatenate([dialogue.log_length for dialogue in recorded])
    low, high = np.percentile(log_lengths, _LENGTH_PERCENTILES)
    design = np.stack([np.ones_like(log_lengths), np.clip(log_lengths, low, high)], axis=1)
    intercepts, slopes = np.linalg.lstsq(design, turns, rcond=None)[0]

    def mean(dialogue: DialogueFeatures) -> np.ndarray:
        log_length = np.clip(dialogue.log_length, low, high)[:, None]
        residuals = dialogue.turns - (intercepts + log_length * slopes)
        return np.concatenate([residuals.mean(axis=0), dialogue.answers])

    n_pairs = Counter(pair.scenario for pair in pairs)
    rows, row_weights = [], []
    for pair, compared in zip(pairs, features, strict=True):
        weight = 1 / n_pairs[pair.scenario]
        rows.append(mean(compared.better) - mean(compared.worse))
        row_weights.append(weight)
        for negative in compared.negatives:
            rows.append(mean(compared.better) - mean(negative))
            row_weights.append(NEGATIVE_SHARE * weight / len(compared.negatives))
    differences, sample_weights = np.stack(rows), np.asarray(row_weights)
    n_turn = len(TURN_FEATURES)
    return LearnedJudge(
        length_intercepts=_floats(intercepts),
        length_slopes=_floats(slopes),
        length_range=(float(low), float(high)),
        weights=_floats(
            _constrained_weights(differences, (*TURN_FEATURES, *ANSWER_FEATURES), sample_weights)
        ),
        spoken_weights=_floats(
            _constrained_weights(differences[:, :n_turn], TURN_FEATURES, sample_weights)
        ),
    )


def _constrained_weights(
    differences: np.ndarray, names: Sequence[str], sample_weights: np.ndarray
) -> np.ndarray:
    """Weights of a logistic regression in which every row is a win, constrained to `SIGNS`.

    Args:
        differences: better minus worse, (n, n_features).
        names: of the features.
        sample_weights: (n,).
    """
    try:
        from scipy.optimize import minimize
    except ModuleNotFoundError as error:
        raise JudgeError(
            f"{error.name} is not installed: fitting the learned judge needs "
            "pip install 'persuade-env[train]'; learned=FILE reads a fitted one without it"
        ) from error
    scale = np.sqrt((differences**2).mean(axis=0))
    scale[scale == 0] = 1.0
    rows = differences / scale

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = rows @ weights
        value = sample_weights @ np.logaddexp(0.0, -margins) + PENALTY / 2 * weights @ weights
        gradient = -(sample_weights / (1 + np.exp(margins))) @ rows + PENALTY * weights
        return float(value), gradient

    bounds = [(0.0, None) if SIGNS[name] > 0 else (None, 0.0) for name in names]
    result = minimize(loss, np.zeros(len(names)), jac=True, bounds=bounds, method="L-BFGS-B")
    return np.asarray(result.x / scale)


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)

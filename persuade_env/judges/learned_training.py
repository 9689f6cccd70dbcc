"""Fits the learned judge (`persuade_env.judges.learned`) to recorded dialogues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from persuade_env.dialogue import Dialogue, PersuaderTurn, ScenarioRecord
from persuade_env.errors import JudgeError
from persuade_env.judges.learned import (
    ANSWERED,
    SIGNS,
    SPOKEN,
    Described,
    LearnedJudge,
    describe,
    read_learned_judge,
)
from persuade_env.llm.pool import ModelPool
from persuade_env.scenarios import load_corpus
from persuade_env.text.embedding import Embedder

PENALTY = 1.0
"""Of half the squared weights of standardised features: a normal prior of variance 1."""
FOLDS = 7
"""Groups of domains of the cross-validation."""
FRUITLESS_SHARE = 0.5
"""How much the made-up comparisons of a scenario count, relative to its recorded ones."""
_LENGTH_PERCENTILES = (2.0, 98.0)


@dataclass(frozen=True)
class RecordedPair:
    """A competent persuader's dialogue and a poor one's, of one scenario."""

    scenario: str
    domain: str
    kind: str
    """The better dialogue's id: `competent`, `mended`, `harder` in the corpus."""
    better: Dialogue
    worse: Dialogue


@dataclass(frozen=True)
class UnseenPair:
    """A pair, and the log odds for its better dialogue by a judge that saw none of its domain."""

    pair: RecordedPair
    score: float
    judge: LearnedJudge


def recorded_pairs(records: Sequence[ScenarioRecord]) -> list[RecordedPair]:
    """Every dialogue of quality competent with every poor one of its scenario."""
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
    """The judge of a file, or the one fitted to the training split of the corpus, in seconds.

    Raises:
        JudgeError: if the file can't be read, or scipy is not installed.
    """
    if path:
        return read_learned_judge(Path(path))
    pool = models or ModelPool()
    return pool.get(("judge", "learned"), lambda: fit_judge(load_corpus("train")))


def fit_judge(records: Sequence[ScenarioRecord], *, embed: Embedder | None = None) -> LearnedJudge:
    """A judge that prefers the competent dialogues of `records`; nothing is drawn.

    Two logistic regressions without intercept on differences of features, each weight held to
    its sign; every scenario counts the same, however many pairs it has.

    Raises:
        JudgeError: if fewer than two domains have a pair, or scipy is not installed.
    """
    pairs = recorded_pairs(records)
    if len({pair.domain for pair in pairs}) < 2:
        raise JudgeError(
            "a judge is learned from competent and poor dialogues of the same scenarios, in at "
            "least two domains"
        )
    described = _described(pairs, embed or Embedder())
    judge = _fit(pairs, described)
    unseen = _unseen(pairs, described)
    fit = {
        "pairs": float(len(pairs)),
        "unseen_domain_accuracy": float(np.mean([_won(one.score) for one in unseen])),
    }
    return judge.model_copy(update={"fit": fit})


def unseen_domains(
    records: Sequence[ScenarioRecord], *, embed: Embedder | None = None
) -> list[UnseenPair]:
    """Every pair of `records`, judged by a judge fitted without the pair's domain.

    Domains are dealt out to `FOLDS` groups; the judge of a group is fitted to the others.

    Raises:
        JudgeError: as `fit_judge`.
    """
    pairs = recorded_pairs(records)
    if len({pair.domain for pair in pairs}) < 3:
        raise JudgeError("unseen domains need competent and poor dialogues in at least three")
    return _unseen(pairs, _described(pairs, embed or Embedder()))


@dataclass(frozen=True)
class _Compared:
    """The numbers of a pair, and of its better dialogue with nothing in the persuader's words."""

    better: Described
    worse: Described
    fruitless: tuple[Described, ...]


def _described(pairs: Sequence[RecordedPair], embed: Embedder) -> list[_Compared]:
    return [
        _Compared(
            describe(pair.better, 0, embed),
            describe(pair.worse, 0, embed),
            tuple(describe(one, 0, embed) for one in _fruitless(pair, _elsewhere(pairs, index))),
        )
        for index, pair in enumerate(pairs)
    ]


def _elsewhere(pairs: Sequence[RecordedPair], index: int) -> Dialogue:
    """The better dialogue of the next pair of another domain."""
    following = [*pairs[index + 1 :], *pairs[:index]]
    return next(one.better for one in following if one.domain != pairs[index].domain)


def _fruitless(pair: RecordedPair, elsewhere: Dialogue) -> list[Dialogue]:
    """The better dialogue with the persuader silent, repeating, elsewhere, reading out facts.

    Recorded persuaders do none of that, so recorded pairs alone can't teach that it is worse.
    """
    said = [turn.response for turn in pair.better.persuader_turns]
    other = [turn.response for turn in elsewhere.persuader_turns]
    facts = pair.better.scenario.facts or (pair.better.scenario.background,)
    return [
        _saying(pair.better, [responses[place % len(responses)] for place in range(len(said))])
        for responses in ([""], said[:1], other, facts)
    ]


def _saying(dialogue: Dialogue, responses: Sequence[str]) -> Dialogue:
    """The dialogue with these responses in place of the persuader's; answers as they were."""
    left = iter(responses)
    turns = tuple(
        turn.model_copy(update={"response": next(left)})
        if isinstance(turn, PersuaderTurn)
        else turn
        for turn in dialogue.turns
    )
    return Dialogue.model_construct(scenario=dialogue.scenario, turns=turns)


def _unseen(pairs: Sequence[RecordedPair], described: Sequence[_Compared]) -> list[UnseenPair]:
    domains = sorted({pair.domain for pair in pairs})
    folds = min(FOLDS, len(domains))
    fold = {domain: place % folds for place, domain in enumerate(domains)}
    judges = []
    for held_out in range(folds):
        rest = [index for index, pair in enumerate(pairs) if fold[pair.domain] != held_out]
        judges.append(_fit([pairs[index] for index in rest], [described[index] for index in rest]))
    scores = [judges[fold[pair.domain]].scores([(pair.better, pair.worse)])[0] for pair in pairs]
    return [
        UnseenPair(pair, score, judges[fold[pair.domain]])
        for pair, score in zip(pairs, scores, strict=True)
    ]


def _won(score: float) -> float:
    return 0.5 if score == 0 else float(score > 0)


def _fit(pairs: Sequence[RecordedPair], described: Sequence[_Compared]) -> LearnedJudge:
    recorded = [one for both in described for one in (both.better, both.worse)]
    turns = np.concatenate([one.spoken for one in recorded])
    lengths = np.concatenate([one.length for one in recorded])
    low, high = np.percentile(lengths, _LENGTH_PERCENTILES)
    line = np.stack([np.ones_like(lengths), np.clip(lengths, low, high)], axis=1)
    intercepts, slopes = np.linalg.lstsq(line, turns, rcond=None)[0]

    def mean(one: Described) -> np.ndarray:
        length = np.clip(one.length, low, high)[:, None]
        spoken = (one.spoken - (intercepts + length * slopes)).mean(axis=0)
        return np.concatenate([spoken, one.answered])

    of_scenario = Counter(pair.scenario for pair in pairs)
    rows, shares = [], []
    for pair, compared in zip(pairs, described, strict=True):
        share = 1 / of_scenario[pair.scenario]
        rows.append(mean(compared.better) - mean(compared.worse))
        shares.append(share)
        for fruitless in compared.fruitless:
            rows.append(mean(compared.better) - mean(fruitless))
            shares.append(FRUITLESS_SHARE * share / len(compared.fruitless))
    differences, counts = np.stack(rows), np.asarray(shares)
    return LearnedJudge(
        length_intercepts=_floats(intercepts),
        length_slopes=_floats(slopes),
        length_range=(float(low), float(high)),
        weights=_floats(_signed(differences, (*SPOKEN, *ANSWERED), counts)),
        spoken_weights=_floats(_signed(differences[:, : len(SPOKEN)], SPOKEN, counts)),
    )


def _signed(differences: np.ndarray, names: Sequence[str], shares: np.ndarray) -> np.ndarray:
    """Weights of a logistic regression in which every row is a win, held to `SIGNS`.

    Args:
        differences: better minus worse, (n, n_features).
        shares: how much each row counts, (n,).
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
        value = shares @ np.logaddexp(0.0, -margins) + PENALTY / 2 * weights @ weights
        slope = -(shares / (1 + np.exp(margins))) @ rows + PENALTY * weights
        return float(value), slope

    bounds = [(0.0, None) if SIGNS[name] > 0 else (None, 0.0) for name in names]
    found = minimize(loss, np.zeros(len(names)), jac=True, bounds=bounds, method="L-BFGS-B")
    return np.asarray(found.x / scale)


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(one) for one in values)

"""Fits the plausibility tests (`user_models.learned.plausibility`) to two contrasts.

- Model samples: recorded persuadee turns against what the fine-tuned chat model says at the same
  points (`user_models.learned.training.model_samples`). Subject and style are the same in both, so
  that whether they make sense is what tells them apart. The test carries over to persuaders' turns
  and to texts by other people and models.
- Word swaps: persuaders' turns against the same with some words replaced by words of other turns.
  A model's samples consist of likely words, so the first test takes any unlikely text for a
  person's, which this one corrects.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from user_models.learned.plausibility import SHARPNESS, LinearTest, PlausibilityModel
from user_models.learned.training.model_samples import ModelSample

_log = logging.getLogger(__name__)

_SWAP_SHARES = (0.15, 0.3, 0.5)
"""Share of a turn's words that is replaced; one of these is drawn for each turn."""

_INVERSE_PENALTY = 1e-2
"""Inverse strength of the L2 penalty on weights of standardised states. A stronger penalty lets
more nonsense pass, a weaker one rejects people of other styles."""

_THRESHOLD_QUANTILE = 0.1
"""Share of recorded persuader turns with log-odds below the threshold for full plausibility."""

MIN_SAMPLES = 8
"""With fewer model samples their test is left out."""

_FOLDS = 5


def fit_plausibility(
    turns: Sequence[tuple[str, str]],
    samples: Sequence[ModelSample],
    mean_state: Callable[[str], np.ndarray],
    rng: np.random.Generator,
) -> tuple[PlausibilityModel, dict[str, float]]:
    """Fits both tests, or that of word swaps alone where there are too few model samples.

    Args:
        turns: scenario and text of recorded persuader turns, of at least two scenarios.
        samples: the model's responses with people's at the same points.
        mean_state: gives a text's mean hidden states, (hidden size,); see
            `TurnEncoder.mean_state`.
        rng: draws the word swaps.

    Returns:
        The tests, and the plausibility of each turn's text by tests that were not fitted to its
        scenario; a text that occurs in several scenarios is left out.
    """
    scenarios, texts = [name for name, _ in turns], [text for _, text in turns]
    contrasts = {"word_swaps": (scenarios, texts, with_word_swaps(texts, rng))}
    if len(samples) < MIN_SAMPLES:
        _log.warning(
            "there are %d model samples: plausibility is learned from word swaps alone",
            len(samples),
        )
    else:
        contrasts["model_samples"] = (
            [sample.scenario for sample in samples],
            [sample.person for sample in samples],
            [sample.model for sample in samples],
        )
    states = _unit_states(texts, mean_state)
    tests, unseen = {}, np.ones(len(turns))
    for name, (pair_scenarios, genuine, nonsense) in contrasts.items():
        test, plausibilities = _fit_test(
            np.asarray(pair_scenarios),
            _unit_states(genuine, mean_state),
            _unit_states(nonsense, mean_state),
            np.asarray(scenarios),
            states,
        )
        tests[name] = test
        unseen *= plausibilities
    n_scenarios = Counter(text for _, text in set(turns))
    return (
        PlausibilityModel(**tests),
        {
            text: plausibility
            for text, plausibility in zip(texts, unseen.tolist(), strict=True)
            if n_scenarios[text] == 1
        },
    )


def with_word_swaps(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Each text with some of its words, at least one, replaced by words drawn from all texts.

    >>> with_word_swaps(["one"], np.random.default_rng(0))
    ['one']
    """
    vocabulary = [word for text in texts for word in text.split()]
    swapped = []
    for text in texts:
        words = text.split()
        share = rng.choice(_SWAP_SHARES)
        positions = np.flatnonzero(rng.random(len(words)) < share)
        if not len(positions) and words:
            positions = rng.integers(len(words), size=1)
        for position in positions:
            words[position] = vocabulary[rng.integers(len(vocabulary))]
        swapped.append(" ".join(words))
    return swapped


def _fit_test(
    pair_scenarios: np.ndarray,
    genuine: np.ndarray,
    nonsense: np.ndarray,
    turn_scenarios: np.ndarray,
    turns: np.ndarray,
) -> tuple[LinearTest, np.ndarray]:
    """A test that tells genuine rows from nonsense, and the turns' plausibility (m,).

    The latter is by tests fitted to other scenarios' pairs; see `unseen_odds` for the arguments.
    """
    odds = unseen_odds(pair_scenarios, genuine, nonsense, turn_scenarios, turns)
    threshold = float(np.quantile(odds, _THRESHOLD_QUANTILE))
    scaler, logistic = _fit_logistic(genuine, nonsense)
    weights = logistic.coef_[0] / scaler.scale_
    intercept = float(logistic.intercept_[0] - weights @ scaler.mean_) - threshold
    test = LinearTest(weights=tuple(weights.tolist()), intercept=intercept)
    return test, np.exp(SHARPNESS * np.minimum(0.0, odds - threshold))


def unseen_odds(
    pair_scenarios: np.ndarray,
    genuine: np.ndarray,
    nonsense: np.ndarray,
    turn_scenarios: np.ndarray,
    turns: np.ndarray,
) -> np.ndarray:
    """Log-odds (m,) that turns are genuine, each by a test fitted to other scenarios' pairs.

    Where all pairs are of the scenarios left out, they are all used.

    Args:
        pair_scenarios: of the pairs, (n,).
        genuine: states of one side, (n, hidden size).
        nonsense: states of the other side, (n, hidden size).
        turn_scenarios: of the turns, (m,).
        turns: their states, (m, hidden size).
    """
    odds = np.zeros(len(turns))
    names = np.unique(turn_scenarios)
    folds = min(_FOLDS, len(names))
    for fold in range(folds):
        held_out = names[fold::folds]
        train, test = ~np.isin(pair_scenarios, held_out), np.isin(turn_scenarios, held_out)
        train = train if train.any() else ~train
        model = _fit_logistic(genuine[train], nonsense[train])
        odds[test] = model.decision_function(turns[test])
    return odds


def _fit_logistic(genuine: np.ndarray, nonsense: np.ndarray) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = np.repeat([1, 0], [len(genuine), len(nonsense)])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=_INVERSE_PENALTY, max_iter=2000))
    return model.fit(np.vstack([genuine, nonsense]), labels)


def _unit_states(texts: Sequence[str], mean_state: Callable[[str], np.ndarray]) -> np.ndarray:
    """Mean hidden states scaled to length 1, (n, hidden size)."""
    states = np.stack([mean_state(text) for text in texts])
    lengths = np.linalg.norm(states, axis=1, keepdims=True)
    return np.asarray(np.divide(states, lengths, out=np.zeros_like(states), where=lengths > 0))

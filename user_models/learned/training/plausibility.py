"""Learns what people would say (`user_models.learned.plausibility`) from two contrasts.

- *The model's own words*: what persuadees said against what the fine-tuned chat model says in
  the same places (`user_models.learned.training.model_samples`). Subject and manner are the same in
  both, so what is left to tell them by is how one thing leads to another. What is learned from
  persuadees' words holds for persuaders', and for texts by other models and people about other
  things.
- *Foreign words*: persuaders' turns against the same with some words replaced by others out of
  other turns. A model's own words are likely ones, so the first test takes unlikely words for
  people's, and any nonsense made of them for sense.

What was tried, and how far either carries, is in `docs/user-models.md`.
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

_SHARES = (0.15, 0.3, 0.5)
"""Of the words of a turn that are replaced, one of these."""

_RIDGE = 1e-2
"""Inverse strength of the penalty on weights of standardised states. A tenth of it is softer on
nonsense, ten times as much also shuts out how other people speak."""

_TOLERATED = 0.1
"""Share of recorded persuader turns that read worse than what counts in full."""

ENOUGH = 8
"""The model's words at fewer places teach nothing, and are left out."""

_FOLDS = 5


def fit_plausibility(
    turns: Sequence[tuple[str, str]],
    said: Sequence[ModelSample],
    read: Callable[[str], np.ndarray],
    rng: np.random.Generator,
) -> tuple[PlausibilityModel, dict[str, float]]:
    """Both tests; without enough of the model's own words only that of foreign words.

    Args:
        turns: scenario and text of recorded persuader turns, of at least two scenarios.
        said: people's and the model's words in the same places.
        read: gives a text's mean hidden states, (hidden size,); see `TurnEncoder.meaning`.

    Returns:
        The tests, and what each turn's text counts for by tests that have not seen its scenario;
        a text that was said in several scenarios is left out.
    """
    scenarios, texts = [name for name, _ in turns], [text for _, text in turns]
    contrasts = {"foreign": (scenarios, texts, with_foreign_words(texts, rng))}
    if len(said) < ENOUGH:
        _log.warning("the model's own words are known at %d places: coherence is learned from "
                     "foreign words alone", len(said))  # fmt: skip
    else:
        people, own = [one.person for one in said], [one.model for one in said]
        contrasts["own"] = ([one.scenario for one in said], people, own)
    states = _states(texts, read)
    readings, counts = {}, np.ones(len(turns))
    for name, (names, genuine, nonsense) in contrasts.items():
        reading, unseen = _fit(
            np.asarray(names), _states(genuine, read), _states(nonsense, read),
            np.asarray(scenarios), states,
        )  # fmt: skip
        readings[name] = reading
        counts *= unseen
    places = Counter(text for _, text in set(turns))
    unseen_counts = zip(texts, counts.tolist(), strict=True)
    return (
        PlausibilityModel(**readings),
        {text: count for text, count in unseen_counts if places[text] == 1},
    )


def with_foreign_words(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Each text with some of its words replaced by words drawn from all of them."""
    words = [word for text in texts for word in text.split()]
    found = []
    for text in texts:
        own = text.split()
        share = rng.choice(_SHARES)
        places = np.flatnonzero(rng.random(len(own)) < share)
        if not len(places) and own:
            places = rng.integers(len(own), size=1)
        for place in places:
            own[place] = words[rng.integers(len(words))]
        found.append(" ".join(own))
    return found


def _fit(
    scenarios: np.ndarray,
    genuine: np.ndarray,
    nonsense: np.ndarray,
    turn_scenarios: np.ndarray,
    turns: np.ndarray,
) -> tuple[LinearTest, np.ndarray]:
    """A test that tells pairs of rows of states, (n, hidden size), and what turns (m,) count for
    by tests fitted to the pairs of other scenarios."""
    odds = unseen_odds(scenarios, genuine, nonsense, turn_scenarios, turns)
    full = float(np.quantile(odds, _TOLERATED))
    scaler, logistic = _fitted(genuine, nonsense)
    weights = logistic.coef_[0] / scaler.scale_
    intercept = float(logistic.intercept_[0] - weights @ scaler.mean_) - full
    reading = LinearTest(weights=tuple(weights.tolist()), intercept=intercept)
    return reading, np.exp(SHARPNESS * np.minimum(0.0, odds - full))


def unseen_odds(
    scenarios: np.ndarray,
    genuine: np.ndarray,
    nonsense: np.ndarray,
    turn_scenarios: np.ndarray,
    turns: np.ndarray,
) -> np.ndarray:
    """Log-odds (m,) that the turns are genuine, each by a test fitted to other scenarios' pairs.

    Where all pairs are of the scenarios left out, they are all used.
    """
    odds = np.zeros(len(turns))
    names = np.unique(turn_scenarios)
    folds = min(_FOLDS, len(names))
    for part in range(folds):
        held_out = names[part::folds]
        kept, asked = ~np.isin(scenarios, held_out), np.isin(turn_scenarios, held_out)
        kept = kept if kept.any() else ~kept
        model = _fitted(genuine[kept], nonsense[kept])
        odds[asked] = model.decision_function(turns[asked])
    return odds


def _fitted(genuine: np.ndarray, nonsense: np.ndarray) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    said = np.repeat([1, 0], [len(genuine), len(nonsense)])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=_RIDGE, max_iter=2000))
    return model.fit(np.vstack([genuine, nonsense]), said)


def _states(texts: Sequence[str], read: Callable[[str], np.ndarray]) -> np.ndarray:
    """At length 1, (n, hidden size)."""
    states = np.stack([read(text) for text in texts])
    lengths = np.linalg.norm(states, axis=1, keepdims=True)
    return np.asarray(np.divide(states, lengths, out=np.zeros_like(states), where=lengths > 0))

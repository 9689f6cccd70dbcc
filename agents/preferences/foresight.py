"""What a persuader can foresee: ridge regression from its own hidden states to the user's reaction.

A persuader never sees the persona. How well its last hidden state at the end of a candidate turn
predicts the attitude after it, among the candidates of one context, shows how much a persuader can
know at least: a linear map of few contexts finds a part of it. The same regression chooses among
candidates (`agents.persuaders.rerank`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.preferences.pool import PooledContext
from persuade_env.errors import PersuaderError
from persuade_env.seeding import derive_seed, generator

FILE = "foresight.json"
"""In the folder of a reranking persuader, beside its checkpoint."""
PENALTIES = tuple(float(penalty) for penalty in np.logspace(0, 6, 13))
"""Ridge penalties on features of variance 1 that are tried; folds over scenarios choose."""
FOLDS = 5


@dataclass(frozen=True)
class CandidateGroup:
    """The candidates of one context, features and attitudes minus their means.

    Args:
        scenario_id: the unit of cross-validation.
        features: (n, k), of `candidate_features`.
        steps: (n,), Likert points above the group's mean.
    """

    scenario_id: str
    features: np.ndarray
    steps: np.ndarray


@dataclass(frozen=True)
class Foresight:
    """A linear prediction of how a turn is taken, relative to the others of its context.

    >>> Foresight(np.array([1.0, 0.0])).predict(np.array([[0.5, 3.0]]))
    array([0.5])
    """

    weights: np.ndarray
    """(k,), one per feature."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Likert points (n,) above the mean of the candidates, of features (n, k)."""
        predicted: np.ndarray = features @ self.weights
        return predicted

    def save(self, folder: Path) -> None:
        """Writes it to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = [float(weight) for weight in self.weights]
        (folder / FILE).write_text(json.dumps({"weights": weights}) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Foresight:
        """Reads what `save` wrote.

        Raises:
            PersuaderError: if it isn't there or can't be read.
        """
        try:
            data = json.loads((folder / FILE).read_text())
            return cls(np.asarray(data["weights"], dtype=float))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PersuaderError(f"cannot read {folder / FILE}: {error!r}") from error


def turn_states(
    model: Any, prompt_ids: Sequence[int], turns: Sequence[Sequence[int]]
) -> np.ndarray:
    """The last hidden state after each of several turns that follow one prompt.

    The prompt is read once for all of them.

    Args:
        model: a causal language model of transformers.
        prompt_ids: at least one token.
        turns: n turns as token ids, each of at least one.

    Returns:
        (n, hidden size).
    """
    import torch

    with torch.inference_mode():
        body, device = model.base_model, model.device
        cache = body(torch.tensor([list(prompt_ids)], device=device), use_cache=True)
        cache = cache.past_key_values
        cache.batch_repeat_interleave(len(turns))
        lengths = torch.tensor([len(turn) for turn in turns], device=device)
        width = int(lengths.max())
        # Padded on the right, where no real token attends to it.
        ids = torch.tensor([[*turn, *[0] * (width - len(turn))] for turn in turns], device=device)
        steps = torch.arange(width, device=device)
        before = torch.ones(len(turns), len(prompt_ids), dtype=torch.long, device=device)
        mask = torch.cat([before, (steps < lengths[:, None]).long()], dim=1)
        hidden = body(
            ids,
            attention_mask=mask,
            position_ids=(len(prompt_ids) + steps).expand(len(turns), -1),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        states: np.ndarray = hidden[torch.arange(len(turns)), lengths - 1].double().cpu().numpy()
    return states


def candidate_features(
    model: Any, prompt_ids: Sequence[int], turns: Sequence[Sequence[int]]
) -> np.ndarray:
    """Hidden state and log length of each turn, minus their means over the turns, (n, k)."""
    lengths = np.log([[len(turn)] for turn in turns])
    features = np.concatenate([turn_states(model, prompt_ids, turns), lengths], axis=1)
    centred: np.ndarray = features - features.mean(axis=0)
    return centred


def candidate_group(
    model: Any, context: PooledContext, keep_malformed: bool = False
) -> CandidateGroup | None:
    """A context's usable candidates as the regression takes them; None for fewer than two."""
    usable = context.usable(keep_malformed)
    if len(usable) < 2:
        return None
    attitudes = np.asarray([one.attitude for one in usable], dtype=float)
    return CandidateGroup(
        context.scenario_id,
        candidate_features(model, context.prompt_ids, [one.token_ids for one in usable]),
        attitudes - attitudes.mean(),
    )


def fit_foresight(groups: Sequence[CandidateGroup], *, seed: int = 0) -> Foresight:
    """Fits the regression; folds over scenarios choose its penalty.

    Raises:
        PersuaderError: if there are no groups, or all are of one scenario.
    """
    folds = _folds(groups, seed)
    errors = np.zeros(len(PENALTIES))
    for inside, outside in folds:
        features, steps = _stacked(outside)
        for index, weights in enumerate(_weights(inside)):
            errors[index] += float(((features @ weights - steps) ** 2).sum())
    return Foresight(_weights(groups)[int(errors.argmin())])


def foreseen(groups: Sequence[CandidateGroup], *, seed: int = 0) -> list[np.ndarray]:
    """The prediction for each group by a regression that has seen nothing of its scenario.

    Raises:
        PersuaderError: if the groups are of fewer than three scenarios: two fit, one tests.
    """
    if len({group.scenario_id for group in groups}) < 3:
        raise PersuaderError("foresight needs candidates from at least three scenarios")
    of_group: dict[int, np.ndarray] = {}
    for inside, outside in _folds(groups, seed):
        foresight = fit_foresight(inside, seed=seed)
        of_group |= {id(group): foresight.predict(group.features) for group in outside}
    return [of_group[id(group)] for group in groups]


def within_correlation(predicted: Sequence[np.ndarray], groups: Sequence[CandidateGroup]) -> float:
    """Correlation of predictions with steps, both minus their means in each context: rho.

    NaN where either doesn't vary.
    """
    ours = np.concatenate([one - one.mean() for one in predicted])
    theirs = np.concatenate([group.steps for group in groups])
    norm = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return float(ours @ theirs) / norm if norm else float("nan")


def _folds(
    groups: Sequence[CandidateGroup], seed: int
) -> list[tuple[list[CandidateGroup], list[CandidateGroup]]]:
    """Groups to fit on and to test on, by whole scenarios."""
    names = sorted({group.scenario_id for group in groups})
    if len(names) < 2:
        raise PersuaderError("foresight needs candidates from at least two scenarios")
    order = generator(derive_seed(seed, "foresight")).permutation(len(names))
    fold_of = {names[index]: place % FOLDS for place, index in enumerate(order)}
    return [
        (
            [group for group in groups if fold_of[group.scenario_id] != fold],
            [group for group in groups if fold_of[group.scenario_id] == fold],
        )
        for fold in range(min(FOLDS, len(names)))
    ]


def _stacked(groups: Sequence[CandidateGroup]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.concatenate([group.features for group in groups]),
        np.concatenate([group.steps for group in groups]),
    )


def _weights(groups: Sequence[CandidateGroup]) -> list[np.ndarray]:
    """The ridge's weights for each of `PENALTIES`, on features as they come."""
    features, steps = _stacked(groups)
    scale = features.std(axis=0)
    scale[scale == 0] = 1.0
    scaled = features / scale
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    values = values.clip(min=0)  # rounding makes some that are 0 negative
    projected = vectors.T @ (scaled.T @ steps)
    return [vectors @ (projected / (values + penalty)) / scale for penalty in PENALTIES]

"""How pool, RFT, preferences and foresight are made, which share a pool of candidate turns."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.preferences.data import preference_contexts
from agents.preferences.foresight import CandidateGroup, within_correlation
from agents.preferences.labels import label_attitudes
from agents.preferences.pool import (
    PooledContext,
    best_turns,
    best_worst_pairs,
    sample_pool,
    spreads,
)
from experiments.common.bootstrap import Estimate, clustered_mean, clustered_statistic
from experiments.common.progress import progress_bar
from experiments.common.storage import BatchLog, write_atomically, write_json
from experiments.pipeline.context import RunContext
from experiments.pipeline.data import keep_log
from experiments.pipeline.make import (
    draw_contexts,
    run_agent,
    simulated_preferences,
    train_user_of,
    training_callbacks,
)
from persuade_env.action_format import read_action
from persuade_env.errors import RunError
from persuade_env.protocols import UserModel
from persuade_env.seeding import derive_seed, generator

POOL_FILE = "pool.jsonl"
SUMMARY_FILE = "summary.json"


def pool(context: RunContext, folder: Path) -> None:
    """Samples candidates of the SFT persuader, and labels them with the user trained against."""
    from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader

    settings = context.settings
    contexts = draw_contexts(context.data.train, settings, settings.pool.n_contexts)
    size = settings.pool.contexts_per_batch
    log = BatchLog(folder / POOL_FILE)
    done = log.read()
    pooled: list[PooledContext] = []
    models: tuple[IntentToStrategyPersuader, UserModel] | None = None
    with progress_bar("pool", len(contexts), "context") as progress:
        for start in range(0, len(contexts), size):
            batch, key = contexts[start : start + size], str(start)
            if key in done:
                results = [PooledContext.from_json(row) for row in done[key]]
            else:
                if models is None:
                    agent = run_agent(context, "sft")
                    assert isinstance(agent, IntentToStrategyPersuader)
                    models = agent.candidates(settings.pool.temperature), train_user_of(context)
                results = sample_pool(
                    batch,
                    *models,
                    n_candidates=settings.pool.n_candidates,
                    seed=settings.seed,
                )
                log.append(key, [result.to_json() for result in results])
            pooled += results
            progress.update(len(batch))
            context.metrics.log("pool", len(pooled), _spread_of(pooled))
    write_json(folder / SUMMARY_FILE, {**_counts(pooled), **_spread_of(pooled)})


def read_pool(folder: Path) -> list[PooledContext]:
    """The pool that a step has made.

    Raises:
        RunError: if it is damaged.
    """
    batches = BatchLog(folder / POOL_FILE).read()
    return [PooledContext.from_json(row) for rows in batches.values() for row in rows]


def rft(context: RunContext, folder: Path) -> None:
    """Trains the SFT persuader on the best candidates of the pool."""
    from agents.training.rft import train_rft

    settings = context.settings
    chosen = best_turns(
        read_pool(context.folder("pool")),
        min_lead=settings.rft.min_lead,
        keep_malformed=settings.rft.keep_malformed,
    )
    if not chosen:
        raise RunError(
            "no candidate of the pool stands out enough to be trained on; raise pool.n_contexts "
            f"or lower rft.min_lead (see {context.folder('pool') / SUMMARY_FILE})"
        )
    write_json(folder / SUMMARY_FILE, {"turns": len(chosen)})
    log = train_rft(
        chosen,
        context.folder("sft"),
        folder,
        settings=replace(settings.rft, lora=replace(settings.rft.lora, seed=settings.seed)),
        callbacks=training_callbacks("rft", context),
    )
    keep_log(folder, log)


def preferences(context: RunContext, folder: Path) -> None:
    """Makes preferences by the method that the settings name."""
    settings = context.settings.preferences
    if settings.method == "paths":
        simulated_preferences(context, folder)
        return
    pooled = read_pool(context.folder("pool"))
    pairs = best_worst_pairs(
        pooled,
        min_gap=settings.min_gap,
        max_length_ratio=settings.max_length_ratio,
        keep_malformed=settings.keep_malformed,
    )
    lines = [json.dumps(asdict(pair), ensure_ascii=False) for pair in pairs]
    write_atomically(folder / "preferences.jsonl", "\n".join([*lines, ""]) if lines else "")
    write_json(folder / SUMMARY_FILE, {**_counts(pooled), "pairs": len(pairs)})


def foresight(context: RunContext, folder: Path) -> None:
    """Fits what the SFT persuader foresees of the user, and says how much it is.

    The folder is the checkpoint of the agent `rerank-N`.
    """
    from agents.preferences.foresight import fit_foresight, foreseen
    from persuade_env.llm.checkpoint import adapter_paths, read_checkpoint, save_checkpoint

    settings = context.settings
    keep_malformed = settings.preferences.keep_malformed
    pooled = read_pool(context.folder("pool"))
    groups = [one for one in _groups(context, pooled) if one is not None]
    predicted = foreseen(groups, seed=settings.seed)
    fit_foresight(groups, seed=settings.seed).save(folder)
    write_json(folder / SUMMARY_FILE, foresight_summary(pooled, groups, predicted, keep_malformed))
    sft = context.folder("sft")
    checkpoint = read_checkpoint(sft, "persuader")
    save_checkpoint(folder, "persuader", adapter_paths(sft, checkpoint), base=checkpoint.base)


def foresight_for(context: RunContext, user_model: UserModel) -> dict[str, Any]:
    """What is foreseen of another user by what was learned from the run's own.

    The candidates of the pool are labelled by the other user; the regression still is fitted to the
    labels of the pool, without the scenario that it is tested on.

    Returns:
        As `foresight_summary`.
    """
    from agents.preferences.foresight import foreseen

    keep_malformed = context.settings.preferences.keep_malformed
    pooled = read_pool(context.folder("pool"))
    others = relabelled(context, pooled, user_model)
    # Candidates on which either user failed are no part of either pool.
    pooled = [_labelled_as(one, other) for one, other in zip(pooled, others, strict=True)]
    usable = [len(one.usable(keep_malformed)) > 1 for one in pooled]
    pooled = [one for one, kept in zip(pooled, usable, strict=True) if kept]
    others = [one for one, kept in zip(others, usable, strict=True) if kept]
    groups = [one for one in _groups(context, pooled) if one is not None]
    predicted = foreseen(groups, seed=context.settings.seed)
    felt = []
    for group, other in zip(groups, others, strict=True):
        attitudes = np.asarray([c.attitude for c in other.usable(keep_malformed)], dtype=float)
        felt.append(replace(group, steps=attitudes - attitudes.mean()))
    return foresight_summary(others, felt, predicted, keep_malformed)


def relabelled(
    context: RunContext, pooled: Sequence[PooledContext], user_model: UserModel
) -> list[PooledContext]:
    """The pool with the attitudes of another user; None stays None."""
    dialogues = {one.id: one.dialogue for one in preference_contexts(context.data.train)}
    places = [
        (row, column)
        for row, one in enumerate(pooled)
        for column, candidate in enumerate(one.candidates)
        if candidate.attitude is not None
    ]
    attitudes = label_attitudes(
        user_model,
        [
            dialogues[pooled[row].context_id].extended(
                read_action(pooled[row].candidates[column].text)[0]
            )
            for row, column in places
        ],
        [derive_seed(context.settings.seed, pooled[row].context_id, "label") for row, _ in places],
    )
    label_of = {
        place: None if math.isnan(attitude) else round(attitude, 4)
        for place, attitude in zip(places, attitudes, strict=True)
    }
    return [
        replace(
            one,
            candidates=tuple(
                replace(candidate, attitude=label_of.get((row, column)))
                for column, candidate in enumerate(one.candidates)
            ),
        )
        for row, one in enumerate(pooled)
    ]


def _labelled_as(one: PooledContext, other: PooledContext) -> PooledContext:
    """The context, its labels left out where the other has none."""
    return replace(
        one,
        candidates=tuple(
            candidate if label.attitude is not None else replace(candidate, attitude=None)
            for candidate, label in zip(one.candidates, other.candidates, strict=True)
        ),
    )


def _groups(context: RunContext, pooled: Sequence[PooledContext]) -> list[CandidateGroup | None]:
    """Of each context what the regression takes, read from the SFT persuader's hidden states."""
    from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader
    from agents.preferences.foresight import candidate_group
    from persuade_env.llm.backends.transformers import TransformersChat

    agent = run_agent(context, "sft")
    assert isinstance(agent, IntentToStrategyPersuader)
    assert isinstance(agent.chat, TransformersChat)
    groups = []
    with progress_bar("foresight", len(pooled), "context") as progress:
        for one in pooled:
            keep_malformed = context.settings.preferences.keep_malformed
            groups.append(candidate_group(agent.chat.model, one, keep_malformed))
            progress.update(1)
    return groups


def foresight_summary(
    pooled: Sequence[PooledContext],
    groups: Sequence[CandidateGroup],
    predicted: Sequence[np.ndarray],
    keep_malformed: bool = False,
) -> dict[str, Any]:
    """How much can be foreseen, as plain JSON; each value with its interval over scenarios.

    Args:
        pooled: the pool.
        groups: its contexts with at least two usable candidates.
        predicted: the prediction for each, made without its scenario.
        keep_malformed: as the groups were made.
    """
    scenarios = [group.scenario_id for group in groups]

    def rho(rows: np.ndarray) -> float:
        return within_correlation([predicted[row] for row in rows], [groups[row] for row in rows])

    gains = [
        float(group.steps[int(one.argmax())]) for group, one in zip(groups, predicted, strict=True)
    ]
    within = spreads(pooled, keep_malformed)
    of_spread = [one.scenario_id for one in within]
    variances = np.asarray([one.variance for one in within])

    def estimate(name: str, values: Sequence[float], clusters: Sequence[str]) -> Estimate:
        return clustered_mean(values, clusters, generator(derive_seed(0, "foresight", name)))

    found = {
        "rho": clustered_statistic(rho, scenarios, generator(derive_seed(0, "foresight", "rho"))),
        "chosen_minus_mean": estimate("gain", gains, scenarios),
        "within_context_sd": clustered_statistic(
            lambda rows: math.sqrt(float(variances[rows].mean())),
            of_spread,
            generator(derive_seed(0, "foresight", "sd")),
        ),
        "best_minus_mean": estimate("mean", [one.best_minus_mean for one in within], of_spread),
        "best_minus_worst": estimate("worst", [one.best_minus_worst for one in within], of_spread),
    }
    return {
        **{
            name: {
                key: None if math.isnan(value) else round(value, 6)
                for key, value in asdict(one).items()
            }
            for name, one in found.items()
        },
        "contexts": len(groups),
        "candidates": sum(len(group.steps) for group in groups),
        "scenarios": len(set(scenarios)),
    }


def _counts(pooled: Sequence[PooledContext]) -> dict[str, int]:
    candidates = [candidate for one in pooled for candidate in one.candidates]
    return {
        "contexts": len(pooled),
        "candidates": len(candidates),
        "malformed_candidates": sum(candidate.malformed for candidate in candidates),
        "failed_paths": sum(candidate.attitude is None for candidate in candidates),
    }


def _spread_of(pooled: Sequence[PooledContext]) -> dict[str, float]:
    """Means over contexts, Likert points; empty where no context has two usable candidates."""
    found = spreads(pooled)
    if not found:
        return {}
    return {
        "within_context_sd": round(math.sqrt(np.mean([one.variance for one in found])), 4),
        "best_minus_mean": round(float(np.mean([one.best_minus_mean for one in found])), 4),
        "best_minus_worst": round(float(np.mean([one.best_minus_worst for one in found])), 4),
    }

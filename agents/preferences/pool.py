"""Pools of candidate turns: n at a context, each with the attitude that a user has after it.

What is trained on preferences, on the best turns alone, or to foresee the user, takes its examples
from one pool. Only one turn is looked ahead and no words are drafted
(`agents.preferences.labels`), so a candidate costs a persuader's turn and little more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from agents.preferences.data import Preference, PreferenceContext
from agents.preferences.labels import label_attitudes
from persuade_env.action_format import render_turn
from persuade_env.protocols import Persuader, PersuaderReply, StopReason, UserModel, persuader_view
from persuade_env.seeding import derive_seed


@dataclass(frozen=True)
class PoolSettings:
    """How a pool of candidate turns is sampled.

    >>> PoolSettings(n_contexts=500).n_candidates
    6
    """

    n_contexts: int = 72
    """Dialogue contexts, drawn without replacement from the training scenarios."""
    n_candidates: int = 6
    """Candidate turns per context."""
    temperature: float = 1.0
    """Of the persuader; candidates should differ more than turns that are said."""
    contexts_per_batch: int = 8
    """Contexts sampled side by side, and the unit in which they are stored."""


@dataclass(frozen=True)
class PoolCandidate:
    """A sampled turn and the attitude after it.

    >>> PoolCandidate("Response: Hi.", 1, (5, 2), attitude=4.5, malformed=True).usable()
    False
    """

    text: str
    seed: int
    token_ids: tuple[int, ...]
    attitude: float | None
    """1 to 7; None where the persuader or the user failed."""
    malformed: bool = False
    cut: bool = False
    """Whether it reached the limit of tokens before its end."""

    def usable(self, keep_malformed: bool = False) -> bool:
        """Whether it can be trained on: labelled, sampled here, well-formed and whole."""
        whole = keep_malformed or not (self.malformed or self.cut)
        return whole and self.attitude is not None and bool(self.token_ids)


@dataclass(frozen=True)
class PooledContext:
    """A context and the candidates that were sampled at it."""

    context_id: str
    scenario_id: str
    turn: int
    """Persuader turns before it."""
    attitude: float
    """Before the candidates."""
    prompt_ids: tuple[int, ...]
    candidates: tuple[PoolCandidate, ...]

    def usable(self, keep_malformed: bool = False) -> list[PoolCandidate]:
        """The candidates that can be trained on."""
        return [one for one in self.candidates if one.usable(keep_malformed)]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON from which `from_json` makes an equal value."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PooledContext:
        """The value that `to_json` made this of."""
        candidates = tuple(
            PoolCandidate(**{**one, "token_ids": tuple(one["token_ids"])})
            for one in data["candidates"]
        )
        prompt_ids = tuple(data["prompt_ids"])
        return cls(**{**data, "prompt_ids": prompt_ids, "candidates": candidates})


@dataclass(frozen=True)
class BestTurn:
    """A turn to train on: token ids as they were sampled."""

    context_id: str
    scenario_id: str
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    lead: float
    """Attitude above the mean of its context's candidates, Likert points."""


def sample_pool(
    contexts: Sequence[PreferenceContext],
    persuader: Persuader,
    user_model: UserModel,
    *,
    n_candidates: int = 8,
    seed: int = 0,
) -> list[PooledContext]:
    """Samples candidates at every context and labels them, all in the same batches.

    Args:
        contexts: where the persuader has to speak.
        persuader: whose turns are sampled, at the temperature that it has.
        user_model: whose attitude labels them.
        n_candidates: per context.
        seed: of everything that is drawn.

    Returns:
        One entry per context, in order.
    """
    slots = [
        (context, derive_seed(seed, context.id, "pool", index))
        for context in contexts
        for index in range(n_candidates)
    ]
    replies = persuader.act(
        [persuader_view(context.dialogue) for context, _ in slots], [one for _, one in slots]
    )
    spoken = [
        (index, context.dialogue.extended(reply.turn), derive_seed(seed, context.id, "label"))
        for index, ((context, _), reply) in enumerate(zip(slots, replies, strict=True))
        if reply.turn is not None
    ]
    attitudes = label_attitudes(
        user_model,
        [dialogue for _, dialogue, _ in spoken],
        [label_seed for _, _, label_seed in spoken],
    )
    label_of = {
        index: None if math.isnan(attitude) else round(attitude, 4)
        for (index, _, _), attitude in zip(spoken, attitudes, strict=True)
    }
    return [
        _pooled(
            context,
            [
                (replies[index], slots[index][1], label_of.get(index))
                for index in range(number * n_candidates, (number + 1) * n_candidates)
            ],
        )
        for number, context in enumerate(contexts)
    ]


def _pooled(
    context: PreferenceContext, sampled: Sequence[tuple[PersuaderReply, int, float | None]]
) -> PooledContext:
    prompts = [reply.completion.prompt_ids for reply, _, _ in sampled if reply.completion]
    return PooledContext(
        context.id,
        context.dialogue.scenario.id,
        len(context.dialogue.persuader_turns),
        context.dialogue.attitude,
        prompts[0] if prompts else (),
        tuple(
            PoolCandidate(
                text=render_turn(reply.turn) if reply.turn else "",
                seed=seed,
                token_ids=reply.completion.token_ids if reply.completion else (),
                attitude=attitude,
                malformed=reply.malformed,
                cut=reply.completion is not None
                and reply.completion.stop_reason is not StopReason.STOP,
            )
            for reply, seed, attitude in sampled
        ),
    )


def best_worst_pairs(
    pool: Sequence[PooledContext],
    *,
    min_gap: float = 0.4,
    max_length_ratio: float = 1.6,
    keep_malformed: bool = False,
) -> list[Preference]:
    """One pair a context: the candidate with the highest attitude over that with the lowest.

    Args:
        pool: the contexts.
        min_gap: Likert points that the two have to be apart.
        max_length_ratio: of the longer to the shorter in tokens; pairs of more unlike length would
            teach length.
        keep_malformed: also take candidates that don't follow the format or were cut.
    """
    pairs = []
    for context in pool:
        ranked = _ranked(context, keep_malformed)
        if len(ranked) < 2:
            continue
        (best, high), (worst, low) = ranked[0], ranked[-1]
        gap = round(high - low, 4)
        lengths = sorted((len(best.token_ids), len(worst.token_ids)))
        if (
            gap < min_gap
            or lengths[1] > max_length_ratio * lengths[0]
            or best.token_ids == worst.token_ids
        ):
            continue
        pairs.append(
            Preference(
                context.context_id,
                context.prompt_ids,
                best.token_ids,
                worst.token_ids,
                gap,
                context.scenario_id,
            )
        )
    return pairs


def best_turns(
    pool: Sequence[PooledContext], *, min_lead: float = 0.2, keep_malformed: bool = False
) -> list[BestTurn]:
    """The best candidate of each context in which it stands out.

    Args:
        pool: the contexts.
        min_lead: Likert points above the mean of the context's candidates.
        keep_malformed: also take candidates that don't follow the format or were cut.
    """
    turns = []
    for context in pool:
        ranked = _ranked(context, keep_malformed)
        if len(ranked) < 2:
            continue
        best, high = ranked[0]
        lead = round(high - sum(attitude for _, attitude in ranked) / len(ranked), 4)
        if lead >= min_lead:
            turns.append(
                BestTurn(
                    context.context_id,
                    context.scenario_id,
                    context.prompt_ids,
                    best.token_ids,
                    lead,
                )
            )
    return turns


def _ranked(context: PooledContext, keep_malformed: bool) -> list[tuple[PoolCandidate, float]]:
    """The usable candidates with their attitudes, the highest first; of equal ones the earlier."""
    labelled = [
        (one, one.attitude) for one in context.usable(keep_malformed) if one.attitude is not None
    ]
    return sorted(labelled, key=lambda pair: -pair[1])


@dataclass(frozen=True)
class Spread:
    """How far the attitudes after one context's candidates are apart, Likert points."""

    scenario_id: str
    variance: float
    """Unbiased."""
    best_minus_mean: float
    best_minus_worst: float


def spreads(pool: Sequence[PooledContext], keep_malformed: bool = False) -> list[Spread]:
    """The spread of each context with at least two usable candidates.

    The root of the mean variance is the standard deviation within a context: what there is to be
    learned by choosing turns.
    """
    found = []
    for context in pool:
        attitudes = np.asarray([attitude for _, attitude in _ranked(context, keep_malformed)])
        if len(attitudes) > 1:
            found.append(
                Spread(
                    context.scenario_id,
                    float(attitudes.var(ddof=1)),
                    float(attitudes[0] - attitudes.mean()),
                    float(attitudes[0] - attitudes[-1]),
                )
            )
    return found

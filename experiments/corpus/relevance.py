"""Whether a turn answers what was said before it: found among 20 contexts.

For each turn that follows another, its own context and those of 19 turns of other scenarios, drawn
with a fixed seed; it is found if its own context has the highest cosine similarity with it, in
static word embeddings. Chance is 1 in 20. A measure of a corpus or of a model's turns, never a gate
on one turn: a good apology shares few nouns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_mean
from persuade_env.dialogue import PersuaderTurn, ScenarioRecord
from persuade_env.seeding import derive_seed, generator
from persuade_env.text.embedding import Embedder

N_CANDIDATES = 20
"""Contexts that a turn is compared with, its own among them."""
Role = Literal["persuader", "persuadee"]


@dataclass(frozen=True)
class Answer:
    """A turn, and what it answers."""

    scenario: str
    about: str
    """Background and goal of the scenario."""
    last: str
    """The other side's words just before."""
    text: str


def recorded_answers(
    records: Iterable[ScenarioRecord], role: Role = "persuader", *, good_only: bool = True
) -> list[Answer]:
    """The recorded turns of one side that follow a turn of the other.

    Args:
        records: scenarios with recorded dialogues.
        role: whose turns.
        good_only: of the persuader's turns only those that are not marked as bad, and of poor
            persuaders' dialogues none.
    """
    answers = []
    for record in records:
        about = f"{record.background} {record.goal}"
        for recorded in record.dialogues:
            for before, turn in zip(recorded.turns, recorded.turns[1:], strict=False):
                if turn.role != role:
                    continue
                if good_only and isinstance(turn, PersuaderTurn) and not recorded.is_good(turn):
                    continue
                answers.append(Answer(record.id, about, before.response, turn.response))
    return answers


def found_among(
    answers: Sequence[Answer],
    context: Literal["context", "last words"] = "context",
    *,
    among: int = N_CANDIDATES,
    seed: int = 0,
    embed: Embedder | None = None,
) -> Estimate:
    """Share of turns whose own context is the nearest of `among`, with a 95 % interval.

    The interval is a bootstrap by scenario. NaN where there are too few scenarios to draw from.

    Args:
        answers: turns of at least two scenarios.
        context: `context` is background, goal and last words; `last words` these alone.
        among: contexts that each turn is compared with, its own among them.
        seed: of the draws.
        embed: shares a cache of embeddings.
    """
    embed = embed or Embedder()
    whole = context == "context"
    contexts = [f"{one.about} {one.last}" if whole else one.last for one in answers]
    if not answers:
        return Estimate(float("nan"), float("nan"), float("nan"))
    vectors, texts = embed.all(contexts), embed.all([one.text for one in answers])
    scenarios = np.asarray([one.scenario for one in answers])
    rng = generator(derive_seed(seed, "found among", context))
    hits, clusters = [], []
    for index, answer in enumerate(answers):
        drawn = rng.permutation(len(answers))[: 4 * among]
        others = drawn[scenarios[drawn] != answer.scenario][: among - 1]
        if len(others) < among - 1:
            continue
        rivals = vectors[others] @ texts[index]
        hits.append(bool(vectors[index] @ texts[index] > rivals.max()))
        clusters.append(answer.scenario)
    if not hits:
        return Estimate(float("nan"), float("nan"), float("nan"))
    return clustered_mean(hits, clusters, generator(derive_seed(seed, "bootstrap", context)))

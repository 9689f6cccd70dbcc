"""Whether a turn answers what was said before it: found among 20 contexts.

For each turn that follows another, its own context and those of 19 turns of other scenarios, drawn
with a fixed seed; it is found if its own context has the highest cosine similarity with it, in
static word embeddings. Chance is 1 in 20. A measure of a corpus or of a model's turns, never a gate
on one turn: a good apology shares few nouns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_mean
from persuade_env.dialogue import (
    PersuaderTurn,
    RecordedDialogue,
    Scenario,
    ScenarioRecord,
    Turn,
)
from persuade_env.seeding import derive_seed, generator
from persuade_env.text.embedding import Embedder

N_CANDIDATES = 20
"""Contexts that a turn is compared with, its own among them."""
Role = Literal["persuader", "persuadee"]
Context = Literal["context", "last words"]


@dataclass(frozen=True)
class Answer:
    """A turn, and what it answers."""

    scenario: str
    about: str
    """Background and goal of the scenario."""
    last: str
    """The other side's words just before."""
    text: str


def answering_turns(
    records: Iterable[ScenarioRecord], role: Role = "persuader", *, good_only: bool = True
) -> Iterator[tuple[ScenarioRecord, RecordedDialogue, int]]:
    """The place of each recorded turn of one side that follows a turn of the other.

    Args:
        records: scenarios with recorded dialogues.
        role: whose turns.
        good_only: of the persuader's turns only those that are not marked as bad, and of poor
            persuaders' dialogues none.

    Yields:
        The scenario, the dialogue, and the turn's index in it, which is 1 or more.
    """
    for record in records:
        for recorded in record.dialogues:
            for index, turn in enumerate(recorded.turns):
                if turn.role != role or not index:
                    continue
                if good_only and isinstance(turn, PersuaderTurn) and not recorded.is_good(turn):
                    continue
                yield record, recorded, index


def answer_at(scenario: Scenario, turns: Sequence[Turn], index: int) -> Answer:
    """The turn of this index, which is 1 or more, and the turn before it."""
    about = f"{scenario.background} {scenario.goal}"
    return Answer(scenario.id, about, turns[index - 1].response, turns[index].response)


def recorded_answers(
    records: Iterable[ScenarioRecord], role: Role = "persuader", *, good_only: bool = True
) -> list[Answer]:
    """The recorded turns of one side that follow a turn of the other; see `answering_turns`."""
    return [
        answer_at(record, recorded.turns, index)
        for record, recorded, index in answering_turns(records, role, good_only=good_only)
    ]


def are_found(
    answers: Sequence[Answer],
    context: Context = "context",
    *,
    among: int = N_CANDIDATES,
    seed: int = 0,
    embed: Embedder | None = None,
    rivals: Sequence[Answer] | None = None,
) -> np.ndarray:
    """Whether each turn's own context is the nearest of `among`.

    An empty turn is never found.

    Args:
        answers: n turns.
        context: `context` is background, goal and last words; `last words` these alone.
        among: contexts that each turn is compared with, its own among them.
        seed: of the draws; for the same rivals and scenarios it gives the same contexts.
        embed: shares a cache of embeddings.
        rivals: whose contexts are drawn from; by default the answers'.

    Returns:
        1, 0, or NaN where there are too few contexts of other scenarios, (n,).
    """
    embed = embed or Embedder()
    if not answers:
        return np.empty(0)
    pool = answers if rivals is None else rivals
    own = embed.all([_context(one, context) for one in answers])
    texts = embed.all([one.text for one in answers])
    others = own if rivals is None else embed.all([_context(one, context) for one in pool])
    scenarios = np.asarray([one.scenario for one in pool])
    rng = generator(derive_seed(seed, "found among", context))
    hits = np.full(len(answers), np.nan)
    for index, answer in enumerate(answers):
        drawn = rng.permutation(len(pool))[: 4 * among]
        chosen = drawn[scenarios[drawn] != answer.scenario][: among - 1]
        if len(chosen) == among - 1:
            hits[index] = own[index] @ texts[index] > (others[chosen] @ texts[index]).max()
    return hits


def _context(answer: Answer, context: Context) -> str:
    return f"{answer.about} {answer.last}" if context == "context" else answer.last


def found_among(
    answers: Sequence[Answer],
    context: Context = "context",
    *,
    among: int = N_CANDIDATES,
    seed: int = 0,
    embed: Embedder | None = None,
) -> Estimate:
    """Share of turns whose own context is the nearest of `among`, with a 95 % interval.

    The interval is a bootstrap by scenario. NaN where there are too few scenarios to draw from.
    The arguments are those of `are_found`.
    """
    hits = are_found(answers, context, among=among, seed=seed, embed=embed)
    known = np.flatnonzero(~np.isnan(hits))
    clusters = [answers[index].scenario for index in known.tolist()]
    rng = generator(derive_seed(seed, "bootstrap", context))
    return clustered_mean(hits[known].tolist(), clusters, rng)

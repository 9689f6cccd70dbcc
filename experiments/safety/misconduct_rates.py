"""Precision and recall of the misconduct detector on labelled turns, and rates of misconduct.

The labelled turns have three parts without a common scenario. `develop` and `test` were labelled
before the rules were written, by the author of the rules, who therefore knew both; the rules were
tuned on `develop` only. `after` was sampled and labelled when the rules were complete, before they
were applied to it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_mean, clustered_statistic
from experiments.common.storage import read_json
from experiments.common.table import Column, DataTable
from persuade_env.dialogue import Dialogue, ScenarioRecord
from persuade_env.safety.misconduct import Misconduct, detect_misconduct, detect_misconduct_by_turn
from persuade_env.seeding import derive_seed, generator

PARTS = ("develop", "test", "after")
ANY = "any"
RATE_NAMES = (*(kind.value for kind in Misconduct), ANY)
"""Columns of the tables: each kind, and any of them."""


@dataclass(frozen=True)
class LabelledTurn:
    """A persuader turn in its context, with its kinds of misconduct as labelled by a person.

    >>> labelled_turns("test")[0].part
    'test'
    """

    id: str
    part: str
    source: str
    """`corpus`: sampled from the corpus; `written`: written for this file, as an example of a kind
    or of something that resembles it."""
    dialogue: Dialogue
    """Ends with the turn."""
    kinds: frozenset[Misconduct]


@dataclass(frozen=True)
class Accuracy:
    """The detector's accuracy on one kind of misconduct.

    >>> [row.name for row in accuracy(labelled_turns("test")[:5])][-1]
    'any'
    """

    name: str
    labelled: int
    """Turns with this label."""
    detected: int
    """Turns in which the detector finds this kind."""
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Rates:
    """The shares of persuader turns with each kind of misconduct."""

    agent: str
    user_model: str
    turns: int
    scenarios: int
    rates: Mapping[str, Estimate]
    """By `RATE_NAMES`."""


@cache
def _all_turns() -> tuple[LabelledTurn, ...]:
    text = (resources.files("experiments.safety") / "labelled_turns.jsonl").read_text(
        encoding="utf-8"
    )
    return tuple(
        LabelledTurn(
            row["id"],
            row["part"],
            row["source"],
            Dialogue.model_validate(row["dialogue"]),
            frozenset(map(Misconduct, row["kinds"])),
        )
        for row in map(json.loads, text.splitlines())
    )


def labelled_turns(part: str | None = None, source: str | None = None) -> list[LabelledTurn]:
    """The shipped labelled turns, all or those of one part or source."""
    return [
        turn for turn in _all_turns() if part in (None, turn.part) and source in (None, turn.source)
    ]


def accuracy(
    turns: Sequence[LabelledTurn],
    detector: Callable[[Dialogue], frozenset[Misconduct]] = detect_misconduct,
    seed: int = 0,
) -> list[Accuracy]:
    """Precision, recall and F1 of a detector for each kind, and for `any`.

    Args:
        turns: with labels.
        detector: gives the kinds in the last persuader turn of a dialogue.
        seed: of the bootstrap intervals, which are clustered by scenario.
    """
    predictions = [detector(turn.dialogue) for turn in turns]
    clusters = [turn.dialogue.scenario.id for turn in turns]
    rows = []
    for name in RATE_NAMES:
        truth = np.array([_has(turn.kinds, name) for turn in turns])
        predicted = np.array([_has(kinds, name) for kinds in predictions])

        def estimate(
            measure: str,
            numerator: np.ndarray,
            denominator: np.ndarray,
            name: str = name,
        ) -> Estimate:
            rng = generator(derive_seed(seed, name, measure))
            return clustered_statistic(
                lambda rows: _ratio(numerator[rows], denominator[rows]), clusters, rng
            )

        hits = truth & predicted
        rows.append(
            Accuracy(
                name,
                int(truth.sum()),
                int(predicted.sum()),
                estimate("precision", hits, predicted),
                estimate("recall", hits, truth),
                estimate("f1", 2 * hits, truth.astype(int) + predicted),
            )
        )
    return rows


def _has(kinds: frozenset[Misconduct], name: str) -> bool:
    return bool(kinds) if name == ANY else name in kinds


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> float:
    return float(numerator.sum() / denominator.sum()) if denominator.sum() else math.nan


def rates(dialogues: Sequence[Dialogue], agent: str, user_model: str = "", seed: int = 0) -> Rates:
    """The share of persuader turns of these dialogues with each kind of misconduct.

    Args:
        dialogues: of one persuader.
        agent: its name.
        user_model: the name of the other side.
        seed: of the bootstrap intervals, which are clustered by scenario.
    """
    turns = [
        (kinds, dialogue.scenario.id)
        for dialogue in dialogues
        for kinds in detect_misconduct_by_turn(dialogue)
    ]
    clusters = [scenario for _, scenario in turns]
    return Rates(
        agent,
        user_model,
        len(turns),
        len(set(clusters)),
        {
            name: clustered_mean(
                [float(_has(kinds, name)) for kinds, _ in turns],
                clusters,
                generator(derive_seed(seed, agent, user_model, "conduct", name)),
            )
            for name in RATE_NAMES
        },
    )


def benchmark_rates(folder: Path, seed: int = 0) -> list[Rates]:
    """The rates of every agent with every user model of a benchmark folder.

    Invalid dialogues are left out. The list is empty if the folder contains no benchmark.
    """
    from experiments.benchmark.dialogues import load_episodes

    pairs = [(row["agent"], row["user_model"]) for row in read_json(folder / "results.json") or []]
    return [
        rates(
            [episode.dialogue for episode in load_episodes(folder, agent, user) if episode.valid],
            agent,
            user,
            seed,
        )
        for agent, user in pairs
    ]


def recorded_rates(records: Sequence[ScenarioRecord], seed: int = 0) -> list[Rates]:
    """The rates of recorded persuaders, by the quality label of their dialogues."""
    by_quality: dict[str, list[Dialogue]] = {}
    for record in records:
        for recorded in record.dialogues:
            quality = recorded.quality or "unmarked"
            by_quality.setdefault(quality, []).append(record.dialogue(recorded))
    return [
        rates(dialogues, quality, "recorded", seed) for quality, dialogues in by_quality.items()
    ]


_NOTE = "95 % intervals, bootstrapped by scenario"


def accuracy_table(rows: Sequence[Accuracy], title: str) -> DataTable:
    """The detector's accuracy, with a row for each kind."""
    headings = ("labelled", "detected", "precision", "recall", "F1")
    columns = [Column("kind", left=True), *(Column(heading) for heading in headings)]
    cells = [
        [row.name, *map(_cell, (row.labelled, row.detected, row.precision, row.recall, row.f1))]
        for row in rows
    ]
    return DataTable(columns, cells, (_NOTE,), title=title)


def rates_table(rows: Sequence[Rates], title: str) -> DataTable:
    """The rates of misconduct, with a row for each agent and user model."""
    columns = [
        Column("user model", left=True),
        Column("agent", left=True),
        Column("turns", rank=1),
        # The rate of any kind stands last and is never left out.
        *(
            Column(name, rank=0 if name == ANY else 2 + index)
            for index, name in enumerate(RATE_NAMES)
        ),
    ]
    cells = [
        [
            row.user_model,
            row.agent,
            str(row.turns),
            *(_cell(row.rates[name]) for name in RATE_NAMES),
        ]
        for row in rows
    ]
    return DataTable(columns, cells, (_NOTE,), [row.user_model for row in rows], title)


def _cell(value: Any) -> str:
    return str(value)

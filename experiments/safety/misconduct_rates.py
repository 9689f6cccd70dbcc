"""The conduct audit: how often persuaders misbehave, and how often the detector is right.

The labelled turns are in three parts. `develop` and `test` were labelled before the rules were
written, by the same author, who then had read both; rules were tuned on `develop` only. `after` was
drawn and labelled once the rules were done, before they were run on it. Scenarios don't cross
parts.
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
"""Columns of the audit: each kind, and any of them."""


@dataclass(frozen=True)
class LabelledTurn:
    """A persuader turn in its context, and what a person says of its conduct."""

    id: str
    part: str
    source: str
    """`corpus`: drawn from the corpus by chance; `written`: for this file, to show a kind or
    something that resembles it."""
    dialogue: Dialogue
    """Ends with the turn."""
    kinds: frozenset[Misconduct]


@dataclass(frozen=True)
class Accuracy:
    """How the detector does on one kind."""

    name: str
    labelled: int
    found: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Rates:
    """Shares of persuader turns with each kind of misconduct."""

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
            one["id"],
            one["part"],
            one["source"],
            Dialogue.model_validate(one["dialogue"]),
            frozenset(map(Misconduct, one["kinds"])),
        )
        for one in map(json.loads, text.splitlines())
    )


def labelled_turns(part: str | None = None, source: str | None = None) -> list[LabelledTurn]:
    """The labelled turns that ship, all or those of one part or source."""
    return [
        one for one in _all_turns() if part in (None, one.part) and source in (None, one.source)
    ]


def accuracy(
    turns: Sequence[LabelledTurn],
    detector: Callable[[Dialogue], frozenset[Misconduct]] = detect_misconduct,
    seed: int = 0,
) -> list[Accuracy]:
    """Precision, recall and F1 of a detector for each kind, and for `any`, with intervals."""
    found = [detector(one.dialogue) for one in turns]
    clusters = [one.dialogue.scenario.id for one in turns]
    rows = []
    for name in RATE_NAMES:
        truth = np.array([_has(one.kinds, name) for one in turns])
        seen = np.array([_has(kinds, name) for kinds in found])

        def estimate(
            measure: str,
            top: np.ndarray,
            bottom: np.ndarray,
            name: str = name,
        ) -> Estimate:
            rng = generator(derive_seed(seed, name, measure))
            return clustered_statistic(lambda rows: _ratio(top[rows], bottom[rows]), clusters, rng)

        both = truth & seen
        rows.append(
            Accuracy(
                name,
                int(truth.sum()),
                int(seen.sum()),
                estimate("precision", both, seen),
                estimate("recall", both, truth),
                estimate("f1", 2 * both, truth.astype(int) + seen),
            )
        )
    return rows


def _has(kinds: frozenset[Misconduct], name: str) -> bool:
    return bool(kinds) if name == ANY else name in kinds


def _ratio(top: np.ndarray, bottom: np.ndarray) -> float:
    return float(top.sum() / bottom.sum()) if bottom.sum() else math.nan


def rates(dialogues: Sequence[Dialogue], agent: str, user_model: str = "", seed: int = 0) -> Rates:
    """How often the persuader of these dialogues shows each kind, by turn."""
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
    """The rates of every agent against every user model of a benchmark folder.

    Invalid dialogues are left out. Empty where there is no benchmark.
    """
    from experiments.benchmark.dialogues import load_episodes

    pairs = [(row["agent"], row["user_model"]) for row in read_json(folder / "results.json") or []]
    return [
        rates(
            [one.dialogue for one in load_episodes(folder, agent, user) if one.valid],
            agent,
            user,
            seed,
        )
        for agent, user in pairs
    ]


def recorded_rates(records: Sequence[ScenarioRecord], seed: int = 0) -> list[Rates]:
    """The rates of recorded persuaders, by the quality that their dialogues are marked with."""
    by_quality: dict[str, list[Dialogue]] = {}
    for record in records:
        for one in record.dialogues:
            by_quality.setdefault(one.quality or "unmarked", []).append(record.dialogue(one))
    return [rates(some, quality, "recorded", seed) for quality, some in by_quality.items()]


_NOTE = "95 % intervals, bootstrapped by scenario"


def accuracy_table(rows: Sequence[Accuracy], title: str) -> DataTable:
    """The detector's accuracy, a row for each kind."""
    headings = ("labelled", "found", "precision", "recall", "F1")
    columns = [Column("kind", left=True), *(Column(heading) for heading in headings)]
    cells = [
        [row.name, *map(_cell, (row.labelled, row.found, row.precision, row.recall, row.f1))]
        for row in rows
    ]
    return DataTable(columns, cells, (_NOTE,), title=title)


def rates_table(rows: Sequence[Rates], title: str) -> DataTable:
    """Rates of misconduct, a row for each agent and user model."""
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

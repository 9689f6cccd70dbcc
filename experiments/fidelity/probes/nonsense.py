"""Nonsense on a scenario's subject, which must not raise a user model's attitude.

There are two kinds: competent persuaders' turns with their words permuted, for any scenario; and,
for the corpus's test scenarios, fluent sentences sampled from a fine-tuned model of 135 million
parameters. The latter (`experiments/fidelity/probes/nonsense.jsonl`) were read by two people and
kept where the first found no sense in them and the second none, or some in a part alone.

An attitude model is fitted to turns with swapped and with shuffled words, which is similar to the
first kind; the second kind, and the model it comes from, are not in its training data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np
from pydantic import BaseModel, ConfigDict

from experiments.fidelity.probes.scripted import Script

_MIN_LETTERS = 4
"""Minimum number of letters of a word that is moved; shorter ones carry the grammar."""


class Nonsense(BaseModel):
    """Fluent nonsense for one scenario.

    >>> Nonsense(scenario="art-001", responses=("The hall is the dog.",)).scenario
    'art-001'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: str
    responses: tuple[str, ...]


def permuted_scripts(scripts: Sequence[Script], rng: np.random.Generator) -> list[Script]:
    """Each script with its longer words permuted across its turns."""
    permuted = []
    for script in scripts:
        parts = [re.findall(r"[^\W\d_]+|[\W\d_]+", response) for response in script.responses]
        positions = [
            (turn, index)
            for turn, turn_parts in enumerate(parts)
            for index, part in enumerate(turn_parts)
            if part.isalpha() and len(part) >= _MIN_LETTERS
        ]
        words = [parts[turn][index] for turn, index in positions]
        for (turn, index), word in zip(positions, rng.permutation(words), strict=True):
            parts[turn][index] = str(word)
        responses = tuple("".join(turn_parts) for turn_parts in parts)
        permuted.append(Script(script.scenario, responses))
    return permuted


def fluent_scripts(scripts: Sequence[Script]) -> list[Script]:
    """Fluent nonsense of each script's length, for scenarios that have so many turns of it."""
    known = _fluent()
    return [
        Script(script.scenario, known[script.scenario.id][: len(script.responses)])
        for script in scripts
        if len(known.get(script.scenario.id, ())) >= len(script.responses)
    ]


@lru_cache(maxsize=1)
def _fluent() -> dict[str, tuple[str, ...]]:
    lines = (
        (files("experiments.fidelity.probes") / "nonsense.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    rows = map(Nonsense.model_validate_json, lines)
    return {row.scenario: row.responses for row in rows}

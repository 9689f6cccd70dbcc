"""Turns that speak of the right things and say nothing: what a user model must not be paid with.

Two kinds: the competent persuader's own turns with their words in each other's places, for any
scenario; and, for the corpus's test scenarios, fluent sentences that a fine-tuned model of 135
million parameters said there, kept where a reader found no sense in them and a second one none, or
some in a part alone (`experiments/fidelity/probes/nonsense.jsonl`).

A learned mind is fitted to turns with foreign words in them and to words in no order, which is
near the first kind; the second is of a kind and from a model that it has never met.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np
from pydantic import BaseModel, ConfigDict

from experiments.fidelity.probes.scripted import Script

_LONG = 4
"""Letters of a word that is moved; shorter ones hold a sentence together."""


class Nonsense(BaseModel):
    """What was said in a scenario that makes no sense."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: str
    responses: tuple[str, ...]


def permuted_scripts(scripts: Sequence[Script], rng: np.random.Generator) -> list[Script]:
    """Each script with its longer words in each other's places, across its turns."""
    permuted = []
    for script in scripts:
        parts = [re.findall(r"[^\W\d_]+|[\W\d_]+", response) for response in script.responses]
        places = [
            (turn, at)
            for turn, some in enumerate(parts)
            for at, part in enumerate(some)
            if part.isalpha() and len(part) >= _LONG
        ]
        words = [parts[turn][at] for turn, at in places]
        for (turn, at), word in zip(places, rng.permutation(words), strict=True):
            parts[turn][at] = str(word)
        responses = tuple("".join(some) for some in parts)
        permuted.append(Script(script.scenario, responses))
    return permuted


def fluent_scripts(scripts: Sequence[Script]) -> list[Script]:
    """As many turns of fluent nonsense as each script has, where that many are known."""
    known = _fluent()
    return [
        Script(one.scenario, known[one.scenario.id][: len(one.responses)])
        for one in scripts
        if len(known.get(one.scenario.id, ())) >= len(one.responses)
    ]


@lru_cache(maxsize=1)
def _fluent() -> dict[str, tuple[str, ...]]:
    lines = (
        (files("experiments.fidelity.probes") / "nonsense.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    return {one.scenario: one.responses for one in map(Nonsense.model_validate_json, lines)}

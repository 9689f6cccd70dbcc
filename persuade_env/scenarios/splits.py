"""Deterministic assignment of scenarios to the training, validation and test splits.

A scenario's split depends on its own id and domain alone, so adding scenarios moves none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TypeVar

from persuade_env.dialogue import Scenario

SPLITS = ("train", "validation", "test")

_PATTERN = ("train", "train", "test", "train", "validation")  # 60 : 20 : 20
_NUMBERED = re.compile(r"-(\d+)$")

S = TypeVar("S", bound=Scenario)


def split_of(scenario: Scenario) -> str:
    """The split of a scenario: `train`, `validation` or `test`.

    The number at the end of an id (`art-003`) indexes a pattern of five, shifted by a hash of the
    domain: any five consecutive scenarios of a domain contain three for training and one each for
    validation and test, and the domains don't all start alike. An id without a number is assigned
    by its own hash.
    """
    numbered = _NUMBERED.search(scenario.id)
    index = int(numbered[1]) + _hash(scenario.domain) if numbered else _hash(scenario.id)
    return _PATTERN[index % len(_PATTERN)]


def halves(scenarios: Sequence[S]) -> tuple[list[S], list[S]]:
    """Two disjoint parts of about equal size, by number and domain; adding scenarios moves none."""
    parts: tuple[list[S], list[S]] = ([], [])
    for scenario in scenarios:
        numbered = _NUMBERED.search(scenario.id)
        index = int(numbered[1]) if numbered else _hash(scenario.id)
        parts[(index + _hash("half:" + scenario.domain)) % 2].append(scenario)
    return parts


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")

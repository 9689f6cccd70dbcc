"""Infos of single environments as one info of a vector environment, in Gymnasium's convention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def batched(infos: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """What `VectorEnv._add_info` makes of n infos; None where a sub-environment has none.

    Each key has an array of n values, and beside it a mask `_key` of those that are meant; a
    dictionary becomes such a dictionary of its own. Gymnasium adds value after value and looks at
    the type of each. Here all infos have the same keys and types, so an array is made at once.
    """
    example = next((info for info in infos if info is not None), {})
    given = np.array([info is not None for info in infos], dtype=np.bool_)
    batch: dict[str, Any] = {}
    for key, value in example.items():
        if isinstance(value, dict):
            batch[key] = batched([None if info is None else info[key] for info in infos])
        else:
            kind = type(value) if type(value) in (int, float, bool) else object
            empty = None if kind is object else kind()
            column = [empty if info is None else info[key] for info in infos]
            batch[key] = np.fromiter(column, dtype=kind, count=len(column))
        batch[f"_{key}"] = given.copy()
    return batch

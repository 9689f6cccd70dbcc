"""What the readers of foreign formats share."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from persuade_env.dialogue import PersuadeeTurn, PersuaderTurn
from persuade_env.errors import ScenarioError


def json_list(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON file that holds one list.

    Raises:
        ScenarioError: if it holds anything else.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise ScenarioError("expected one JSON list of objects")
    return data


def merged(
    turns: Iterable[PersuaderTurn | PersuadeeTurn],
) -> tuple[PersuaderTurn | PersuadeeTurn, ...]:
    """The turns with those of one side in a row joined into one, so that they alternate.

    Of a joined turn's other fields the last that says something counts.
    """
    result: list[PersuaderTurn | PersuadeeTurn] = []
    for turn in turns:
        if result and result[-1].role == turn.role:
            earlier = result.pop()
            later = {
                name: value
                for name, value in turn.model_dump().items()
                if value not in (None, "") and name != "response"
            }
            response = f"{earlier.response} {turn.response}".strip()
            turn = type(turn)(**{**earlier.model_dump(), **later, "response": response})
        result.append(turn)
    return tuple(result)

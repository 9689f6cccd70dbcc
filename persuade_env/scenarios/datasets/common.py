"""Helpers that the data set readers share."""

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
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError as error:
        raise ScenarioError("nested too deeply") from error
    if not isinstance(data, list) or not all(isinstance(record, dict) for record in data):
        raise ScenarioError("expected one JSON list of objects")
    return data


def merge_turns(
    turns: Iterable[PersuaderTurn | PersuadeeTurn],
) -> tuple[PersuaderTurn | PersuadeeTurn, ...]:
    """Merges consecutive turns of the same speaker into one, so that the roles alternate.

    Of each field other than the response the last non-empty value is kept.

    >>> turns = merge_turns([PersuaderTurn(response="Hi."), PersuaderTurn(response="Come along.")])
    >>> [turn.response for turn in turns]
    ['Hi. Come along.']
    """
    alternating: list[PersuaderTurn | PersuadeeTurn] = []
    for turn in turns:
        if alternating and alternating[-1].role == turn.role:
            earlier = alternating.pop()
            later = {
                name: value
                for name, value in turn.model_dump().items()
                if value not in (None, "") and name != "response"
            }
            response = f"{earlier.response} {turn.response}".strip()
            turn = type(turn)(**{**earlier.model_dump(), **later, "response": response})
        alternating.append(turn)
    return tuple(alternating)

"""Reader of DailyPersuasion, the data set of PersuGPT (Jin et al., ACL 2024).

The file is one JSON list. A record has `id`, `scenario` (background, persuader, persuadee, goal,
tag, domain), `strategy` (candidates) and `dialog` (`session_1`, …: lists of turns). Persuader
turns have analysis, strategy, tone and response; the data model has no tone of a persuader, so it
is left out. The data set records neither attitudes nor decisions: the attitude is null and
the decision `continue`. Repeated candidate strategies are kept once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persuade_env.dialogue import PersuadeeTurn, PersuaderTurn, RecordedDialogue, ScenarioRecord
from persuade_env.errors import ScenarioError
from persuade_env.scenarios.datasets.common import json_list, merge_turns


def read(path: Path) -> Iterator[tuple[str, Any]]:
    """The records of a DailyPersuasion file; see `persuade_env.scenarios.datasets`."""
    for number, record in enumerate(json_list(path)):
        yield f"record {number}", lambda record=record: _record(record)


def _record(data: dict[str, Any]) -> ScenarioRecord:
    scenario = data["scenario"]
    return ScenarioRecord(
        id=data["id"],
        domain=domain_of(scenario),
        background=scenario["background"],
        persuader=scenario["persuader"],
        persuadee=scenario["persuadee"],
        goal=scenario["goal"],
        strategies=tuple(dict.fromkeys(data["strategy"])),
        dialogues=tuple(
            RecordedDialogue(id=name, turns=merge_turns(_turn(name, turn) for turn in session))
            for name, session in data["dialog"].items()
        ),
    )


def domain_of(scenario: dict[str, Any]) -> str:
    """The first domain of a scenario: DailyPersuasion nests them by tag, CToMPersu lists them.

    >>> domain_of({"domain": [{"tag": "x", "domain": ["Health", "Sport"]}]})
    'Health'

    Raises:
        ScenarioError: if there is none.
    """
    names = [
        name
        for entry in scenario["domain"]
        for name in (entry["domain"] if isinstance(entry, dict) else [entry])
    ]
    if not names:
        raise ScenarioError("field scenario.domain: expected at least one domain")
    return str(names[0])


def _turn(session: str, data: dict[str, Any]) -> PersuaderTurn | PersuadeeTurn:
    if data["role"] == "persuader":
        strategy = data["strategy"]
        return PersuaderTurn(
            analysis=data["analysis"],
            strategy=strategy if isinstance(strategy, str) else "; ".join(strategy),
            response=data["response"],
        )
    if data["role"] == "persuadee":
        return PersuadeeTurn(tone=data.get("tone", ""), response=data["response"])
    raise ScenarioError(
        f"field dialog.{session}.role: expected persuader or persuadee, found {data['role']!r}"
    )

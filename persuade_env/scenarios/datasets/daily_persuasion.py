"""DailyPersuasion, the data set of PersuGPT (Jin et al., ACL 2024).

One JSON list. A record has `id`, `scenario` (background, persuader, persuadee, goal, tag,
domain), `strategy` (candidates) and `dialog` (`session_1`, …: lists of turns). Persuader
turns carry analysis, strategy, tone and response; the tone of a persuader has no place in
this suite and is left out. Attitudes and decisions are not told: the attitude is null and
the decision `continue`. Candidates that repeat are kept once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persuade_env.dialogue import PersuadeeTurn, PersuaderTurn, RecordedDialogue, ScenarioRecord
from persuade_env.errors import ScenarioError
from persuade_env.scenarios.datasets.common import json_list, merged


def read(path: Path) -> Iterator[tuple[str, Any]]:
    """See `persuade_env.scenarios.datasets`."""
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
            RecordedDialogue(id=name, turns=merged(_turn(name, turn) for turn in session))
            for name, session in data["dialog"].items()
        ),
    )


def domain_of(scenario: dict[str, Any]) -> str:
    """The first domain named: DailyPersuasion nests them by tag, CToMPersu lists them.

    Raises:
        ScenarioError: if there is none.
    """
    names = [
        name
        for one in scenario["domain"]
        for name in (one["domain"] if isinstance(one, dict) else [one])
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

"""Reader of CToMPersu (Zhang and Zhou, 2025), scenarios with the persuadee's beliefs and desires.

The file is one JSON list without ids; a record's id is `ctompersu-` and its index. The
persuadee's `preventive` and `generative` beliefs become the concerns `preventive` (what they
do now and why) and `generative` (what they fear of the goal); the desires are what would
settle them. Turns are strings that begin with `persuader:` or `persuadee:`; in a few records
the label stands alone and the next string is the utterance. The data set records neither
stubbornness nor attitudes; stubbornness is set to 0.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persuade_env.dialogue import (
    Concern,
    Persona,
    PersuadeeTurn,
    PersuaderTurn,
    RecordedDialogue,
    ScenarioRecord,
)
from persuade_env.errors import ScenarioError
from persuade_env.scenarios.datasets.common import json_list, merge_turns
from persuade_env.scenarios.datasets.daily_persuasion import domain_of

_TURN = re.compile(r"^\s*(persuader|persuadee)\s*:\s*(.*)$", re.IGNORECASE | re.DOTALL)


def read(path: Path) -> Iterator[tuple[str, Any]]:
    """The records of a CToMPersu file; see `persuade_env.scenarios.datasets`."""
    for number, record in enumerate(json_list(path)):
        yield f"record {number}", lambda number=number, record=record: _record(number, record)


def _record(number: int, data: dict[str, Any]) -> ScenarioRecord:
    scenario = data["scenario"]
    concerns = tuple(
        Concern(
            id=kind,
            text=scenario[kind]["belief"],
            settled_by=scenario[kind]["desire"],
            worsened_by=f"Being pushed away from: {scenario[kind]['content']}"
            if kind == "preventive"
            else f"Being pushed to: {scenario[kind]['content']}",
        )
        for kind in ("preventive", "generative")
    )
    return ScenarioRecord(
        id=f"ctompersu-{number:04d}",
        domain=domain_of(scenario),
        background=scenario["background"],
        persuader=scenario["persuader"],
        persuadee=scenario["persuadee"],
        goal=scenario["goal"],
        persona=Persona(
            traits=(f"wants: {scenario['generative']['desire']}",),
            stubbornness=0.5,
            concerns=concerns,
        ),
        dialogues=(
            RecordedDialogue(id="dialog", turns=merge_turns(map(_turn, _labelled(data["dialog"])))),
        ),
    )


def _labelled(texts: list[str]) -> list[str]:
    """The strings, where a label that stands alone is joined with the string after it."""
    labelled: list[str] = []
    for text in texts:
        if not isinstance(text, str):
            raise ScenarioError(f"field dialog: expected texts, found {text!r:.60}")
        if labelled and labelled[-1].rstrip().endswith(":") and not _TURN.match(text):
            labelled[-1] = f"{labelled[-1]} {text}"
        else:
            labelled.append(text)
    return labelled


def _turn(text: str) -> PersuaderTurn | PersuadeeTurn:
    match = _TURN.match(text)
    if not match:
        raise ScenarioError(
            f"field dialog: expected 'persuader: …' or 'persuadee: …', found {text[:60]!r}"
        )
    role, response = match.group(1).lower(), match.group(2)
    return (
        PersuaderTurn(response=response)
        if role == "persuader"
        else PersuadeeTurn(response=response)
    )

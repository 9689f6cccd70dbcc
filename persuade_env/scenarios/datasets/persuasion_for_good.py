"""Reader of PersuasionForGood (Wang et al., ACL 2019), human dialogues that ask for a donation.

The data set is a folder with `full_dialog.csv` (`Unit` text, `B4` 0 persuader or 1 persuadee, `B2`
dialogue) and `full_info.csv` (one row per participant; `B6` dollars given, traits, demographics).
Each dialogue becomes a scenario of its own, because its persuadee is another person. Consecutive
units of one speaker are one turn; empty units are left out. Whether the persuadee gave money
afterwards is the dialogue's `outcome_label`. The data set records neither attitudes nor decisions.

It does not record what a person worried about either. `CONCERNS` were written for this suite from
general knowledge of how people respond to requests for a donation; they are the same for everybody
and were not derived from these dialogues or their outcomes. The same holds for the stubbornness,
0.5, and for the initial attitude, the middle of the scale, because about half of the people gave.
Only the traits are a person's own.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from persuade_env.dialogue import (
    NEUTRAL_ATTITUDE,
    Concern,
    Persona,
    PersuadeeTurn,
    PersuaderTurn,
    RecordedDialogue,
    ScenarioRecord,
)
from persuade_env.errors import ScenarioError
from persuade_env.scenarios.datasets.common import merge_turns

_BACKGROUND = (
    "Two strangers chat online for a small payment. One asks the other to give part of that "
    "payment to the charity Save the Children."
)
_TRAITS = {
    "extrovert.x": "extrovert",
    "agreeable.x": "agreeable",
    "conscientious.x": "conscientious",
    "neurotic.x": "neurotic",
    "open.x": "open",
}
CONCERNS = (
    Concern(
        id="arrives",
        text="I don't know how much of the money really reaches the children.",
        settled_by="what share of each dollar goes to the children, and who checks the accounts",
        worsened_by="vague promises about doing good, or getting angry at the question",
    ),
    Concern(
        id="charity",
        text="I don't know this charity, or you.",
        settled_by="who Save the Children is, how long it exists, where it works, its website",
        worsened_by="telling me to just trust you",
    ),
    Concern(
        id="money",
        text="Money is short, and this payment is small enough as it is.",
        settled_by="that a few cents out of the payment are enough and help, any amount I choose",
        worsened_by="asking for all of the payment or for more than I offered",
    ),
    Concern(
        id="elsewhere",
        text="I already give to other causes, closer to home.",
        settled_by="that it helps children in this country too, or comes on top of what I do",
        worsened_by="saying that my own cause matters less",
    ),
    Concern(
        id="difference",
        text="What would my few cents change?",
        settled_by="what a small sum buys a child: food, medicine, school; many small gifts add up",
        worsened_by="huge numbers of suffering children and guilt",
    ),
    Concern(
        id="later",
        text="I'd rather look it up first and decide later.",
        settled_by="that it is easy and safe now: taken from the payment, with nothing to fill in",
        worsened_by="pressing me to say yes at once",
    ),
)
"""Generic reasons to hesitate; see the module docstring."""

_MAX_DONATION = 1e6  # dollars
_NOTABLE = 0.75  # points away from the middle of the 1-to-5 scale


def read(path: Path) -> Iterator[tuple[str, Any]]:
    """The dialogues of a PersuasionForGood folder; see `persuade_env.scenarios.datasets`."""
    people: dict[tuple[str, str], dict[str, str]] = {}
    for row in _rows(path / "full_info.csv", ("B2", "B4", "B6")):
        if people.setdefault((row["B2"], row["B4"]), row) is not row:
            raise ScenarioError(
                f"full_info.csv: {row['B2']!r} has two rows for the person {row['B4']!r} (B4)"
            )
    dialogues: dict[str, list[dict[str, str]]] = {}
    for row in _rows(path / "full_dialog.csv", ("Unit", "B2", "B4")):
        dialogues.setdefault(row["B2"], []).append(row)
    for name, units in dialogues.items():
        yield f"dialogue {name}", lambda name=name, units=units: _record(name, units, people)


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise ScenarioError(f"{path.name}: missing columns {', '.join(missing)}")
            rows = []
            for row in reader:
                if any(row[name] is None for name in columns):
                    raise ScenarioError(f"{path.name}: line {reader.line_num}: too few columns")
                rows.append(row)
        except csv.Error as error:
            raise ScenarioError(f"{path.name}: after line {reader.line_num}: {error}") from error
    return rows


def _number(row: Mapping[str, str], column: str, low: float, high: float) -> float | None:
    """A person's number, None where the cell is empty.

    Raises:
        ScenarioError: if it is no number from `low` to `high`.
    """
    text = (row.get(column) or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise ScenarioError(
            f"full_info.csv: person {row['B4']} of {row['B2']!r}: column {column}: expected a "
            f"number from {low:g} to {high:g}, found {text!r}"
        )
    return value


def _record(
    name: str, units: list[dict[str, str]], people: Mapping[tuple[str, str], dict[str, str]]
) -> ScenarioRecord:
    person = people.get((name, "1"))
    if person is None:
        raise ScenarioError("full_info.csv has no row for its persuadee")
    turns = merge_turns(_turn(unit) for unit in units if unit["Unit"].strip())
    return ScenarioRecord(
        id=f"p4g-{name}",
        domain="Charity",
        background=_BACKGROUND,
        persuader="Persuader",
        persuadee="Donor",
        goal="persuade Donor to give part of the payment to Save the Children",
        persona=Persona(
            traits=_traits(person),
            stubbornness=0.5,
            initial_attitude=NEUTRAL_ATTITUDE,
            concerns=CONCERNS,
        ),
        dialogues=(
            RecordedDialogue(
                id="dialog",
                turns=turns,
                outcome_label=(_number(person, "B6", 0, _MAX_DONATION) or 0) > 0,
            ),
        ),
    )


def _turn(unit: dict[str, str]) -> PersuaderTurn | PersuadeeTurn:
    if unit["B4"] == "0":
        return PersuaderTurn(response=unit["Unit"])
    if unit["B4"] == "1":
        return PersuadeeTurn(response=unit["Unit"])
    raise ScenarioError(f"field B4: expected 0 or 1, found {unit['B4']!r}")


def _traits(person: Mapping[str, str]) -> tuple[str, ...]:
    """Traits in words: the Big Five where notable, age and ideology where recorded."""
    traits = []
    for column, adjective in _TRAITS.items():
        score = _number(person, column, 1, 5) or 3.0
        if score >= 3.0 + _NOTABLE:
            traits.append(adjective)
        elif score <= 3.0 - _NOTABLE:
            traits.append(f"not very {adjective}")
    if age := _number(person, "age.x", 1, 120):
        traits.append(f"{age:.0f} years old")
    if ideology := person.get("ideology.x"):
        traits.append(ideology.lower())
    return tuple(traits) or ("ordinary",)

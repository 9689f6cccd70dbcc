"""Reads and checks scenario files. Nothing is dropped silently: a file loads whole or fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from persuade_env.dialogue import ScenarioRecord
from persuade_env.errors import ScenarioError, UnknownNameError
from persuade_env.safety.forbidden_goals import forbidden
from persuade_env.scenarios.datasets import ctompersu, daily_persuasion, persuasion_for_good
from persuade_env.scenarios.splits import SPLITS, split_of

MAX_SHOWN = 20
"""Errors of one file that a message lists; the others are counted."""

Located = tuple[str, Callable[[], ScenarioRecord]]
"""Where a record stands in its file, and what makes it."""


def _json_lines(path: Path) -> Iterable[Located]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            yield (
                f"line {number}",
                lambda line=line: ScenarioRecord.model_validate_json(line),  # type: ignore[misc]
            )


FORMATS: Mapping[str, Callable[[Path], Iterable[Located]]] = MappingProxyType(
    {
        "persuade_env": _json_lines,
        "daily_persuasion": daily_persuasion.read,
        "ctompersu": ctompersu.read,
        "persuasion_for_good": persuasion_for_good.read,
    }
)
"""Readers by format name."""


def load(path: str | Path, format: str = "persuade_env") -> list[ScenarioRecord]:
    """The scenarios of a file (of a folder for `persuasion_for_good`).

    Raises:
        ScenarioError: naming file, place, field and what was expected, one error per line,
            if anything in the file is not as it should be.
        UnknownNameError: if there is no such format.
    """
    records, errors = check(path, format)
    if errors:
        more = [f"… and {len(errors) - MAX_SHOWN} more errors"] if len(errors) > MAX_SHOWN else []
        raise ScenarioError("\n".join([*errors[:MAX_SHOWN], *more]))
    return records


def check(path: str | Path, format: str = "persuade_env") -> tuple[list[ScenarioRecord], list[str]]:
    """What can be read of a file, and every error in it, as sentences.

    Raises:
        UnknownNameError: if there is no such format.
    """
    if format not in FORMATS:
        raise UnknownNameError("scenario format", format, list(FORMATS))
    path = Path(path)
    records: list[ScenarioRecord] = []
    errors: list[str] = []
    seen: dict[str, str] = {}
    try:
        for place, make in FORMATS[format](path):
            try:
                record = make()
            except ValidationError as error:
                errors += [f"{path}: {place}: {one}" for one in _sentences(error)]
                continue
            except (ScenarioError, KeyError, TypeError, ValueError) as error:
                what = f"missing field {error}" if isinstance(error, KeyError) else str(error)
                errors.append(f"{path}: {place}: {what}")
                continue
            if reason := forbidden(record):
                errors.append(f"{path}: {place}: field goal: forbidden, {reason}: {record.goal!r}")
                continue
            if record.id in seen:
                errors.append(
                    f"{path}: {place}: field id: {record.id!r} is taken by {seen[record.id]}"
                )
            seen[record.id] = place
            records.append(record)
    except FileNotFoundError as error:
        return [], [f"{error.filename or path}: no such file"]
    except IsADirectoryError:
        return [], [f"{path}: is a folder; expected a file"]
    except NotADirectoryError:
        return [], [f"{path}: is a file; this format expects a folder"]
    except UnicodeDecodeError as error:
        return [], [f"{path}: not UTF-8 (byte {error.start})"]
    except json.JSONDecodeError as error:
        return [], [f"{path}: line {error.lineno}: not JSON: {error.msg}"]
    except (OSError, ScenarioError) as error:
        return [], [f"{path}: {error}"]
    if not records and not errors:
        errors.append(f"{path}: holds no scenario")
    return records, errors


def _sentences(error: ValidationError) -> list[str]:
    sentences = []
    for one in error.errors(include_url=False):
        field = ".".join(str(part) for part in one["loc"]) or "record"
        given = repr(one["input"])
        shown = given if len(given) <= 60 else given[:57] + "…"
        message = one["msg"].removeprefix("Value error, ")
        if one["type"] == "missing":
            sentences.append(f"field {field}: missing")
        elif one["type"] == "extra_forbidden":
            sentences.append(f"field {field}: not a field of this format")
        elif one["type"] == "value_error":
            sentences.append(f"field {field}: {message}")
        else:
            sentences.append(f"field {field}: expected: {message}; found {shown}")
    return sentences


@cache
def _corpus() -> tuple[ScenarioRecord, ...]:
    with resources.as_file(resources.files("persuade_env.scenarios") / "corpus.jsonl") as path:
        return tuple(load(path))


def load_corpus(split: str | None = None) -> list[ScenarioRecord]:
    """The scenarios that the suite ships; only those of one split where it is named.

    Raises:
        UnknownNameError: if there is no such split.
    """
    if split is None:
        return list(_corpus())
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    return [record for record in _corpus() if split_of(record) == split]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of one line of a scenario file; published as `scenario.schema.json`."""
    schema = ScenarioRecord.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

"""Loads and validates scenario files, and publishes their JSON Schema.

Nothing is dropped silently: `load` gives all records of a file or fails with every error.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from persuade_env.dialogue import ScenarioRecord
from persuade_env.errors import ScenarioError, UnknownNameError
from persuade_env.safety.forbidden_goals import forbidden_reason
from persuade_env.scenarios.datasets import ctompersu, daily_persuasion, persuasion_for_good
from persuade_env.scenarios.labels import impossible_labels
from persuade_env.scenarios.splits import SPLITS, split_of
from persuade_env.text.normalize import text_lines

MAX_LISTED_ERRORS = 20
"""Errors of one file that a message lists; further ones are counted."""

MAX_LINE_CHARACTERS = 4 * 2**20
"""Of one record; the longest of the corpora that ship has some 20,000."""
MAX_ERROR_CHARACTERS = 500
"""Of one error's message: a file's own text may be in it."""

Located = tuple[str, Callable[[], ScenarioRecord]]
"""A record's location in its file, and a function that parses it."""


def _json_lines(path: Path) -> Iterable[Located]:
    for number, line in enumerate(text_lines(path.read_text(encoding="utf-8-sig")), start=1):
        if line.strip():
            yield f"line {number}", lambda line=line: _record(line)  # type: ignore[misc]


def _record(line: str) -> ScenarioRecord:
    """The record of one line of JSON.

    Raises:
        ScenarioError: if it is too long, or no JSON that means one thing.
        ValidationError: if its fields aren't as they should be.
    """
    if len(line) > MAX_LINE_CHARACTERS:
        raise ScenarioError(f"longer than {MAX_LINE_CHARACTERS} characters")
    try:
        return ScenarioRecord.model_validate(json.loads(line, object_pairs_hook=_unique))
    except RecursionError as error:
        raise ScenarioError("nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which no key may stand twice: readers would disagree on its value."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        twice = [key for key, number in Counter(key for key, _ in pairs).items() if number > 1]
        raise ScenarioError(f"field {twice[0]}: stands twice in one object")
    return unique


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
        ScenarioError: if anything in the file is invalid; one error per line, with file,
            location, field and what was expected.
        UnknownNameError: if there is no such format.
    """
    records, errors = check(path, format)
    if errors:
        unlisted = len(errors) - MAX_LISTED_ERRORS
        more = [f"… and {unlisted} more errors"] if unlisted > 0 else []
        raise ScenarioError("\n".join([*errors[:MAX_LISTED_ERRORS], *more]))
    return records


def check(path: str | Path, format: str = "persuade_env") -> tuple[list[ScenarioRecord], list[str]]:
    """The valid records of a file, and every error in it as a sentence.

    Raises:
        UnknownNameError: if there is no such format.
    """
    if format not in FORMATS:
        raise UnknownNameError("scenario format", format, list(FORMATS))
    path = Path(path)
    records: list[ScenarioRecord] = []
    errors: list[str] = []
    locations: dict[str, str] = {}
    try:
        for found, make in FORMATS[format](path):
            location = _short(found)
            try:
                record = make()
            except ValidationError as error:
                errors += [f"{path}: {location}: {_short(line)}" for line in _messages(error)]
                continue
            except json.JSONDecodeError as error:
                errors.append(f"{path}: {location}: not JSON: {error}")
                continue
            except (TypeError, AttributeError, IndexError) as error:
                errors.append(
                    f"{path}: {location}: {_short(f'a field is of another type: {error}')}"
                )
                continue
            except (ScenarioError, KeyError, ValueError) as error:
                message = f"missing field {error}" if isinstance(error, KeyError) else str(error)
                errors.append(f"{path}: {location}: {_short(message)}")
                continue
            if reason := forbidden_reason(record):
                errors.append(
                    f"{path}: {location}: "
                    + _short(f"field goal: forbidden, {reason}: {record.goal!r}")
                )
                continue
            if format == "persuade_env" and (contradictions := impossible_labels(record)):
                errors += [f"{path}: {location}: {_short(line)}" for line in contradictions]
                continue
            if record.id in locations:
                taken = f"{record.id!r} is taken by {locations[record.id]}"
                errors.append(f"{path}: {location}: field id: {taken}")
            locations[record.id] = location
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
        return [], [f"{path}: {_short(str(error))}"]
    if not records and not errors:
        errors.append(f"{path}: holds no scenario")
    return records, errors


def _short(message: str) -> str:
    """A message that is printable and not too long, whatever of a file stands in it."""
    # Cut before as well, so that a long message isn't escaped for nothing.
    head = message[: MAX_ERROR_CHARACTERS + 1]
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in head)
    return shown if len(shown) <= MAX_ERROR_CHARACTERS else shown[: MAX_ERROR_CHARACTERS - 1] + "…"


def _messages(error: ValidationError) -> list[str]:
    messages = []
    for detail in error.errors(include_url=False):
        field = ".".join(str(part) for part in detail["loc"]) or "record"
        value = repr(detail["input"])
        shortened = value if len(value) <= 60 else value[:57] + "…"
        reason = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "missing":
            messages.append(f"field {field}: missing")
        elif detail["type"] == "extra_forbidden":
            messages.append(f"field {field}: not a field of this format")
        elif detail["type"] == "value_error":
            messages.append(f"field {field}: {reason}")
        else:
            messages.append(f"field {field}: expected: {reason}; found {shortened}")
    return messages


DEFAULT_CORPUS = "literary"
CORPORA = MappingProxyType(
    {DEFAULT_CORPUS: "corpus.jsonl", "plain": "corpus"},
)
"""What ships, by name: a file, or a folder of files.

`plain` is written in everyday words and takes the place of `literary` once the user models are
trained on it."""


@cache
def _corpus(name: str) -> tuple[ScenarioRecord, ...]:
    with resources.as_file(resources.files("persuade_env.scenarios") / CORPORA[name]) as path:
        files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        return tuple(record for file in files for record in load(file))


def load_corpus(split: str | None = None, name: str = DEFAULT_CORPUS) -> list[ScenarioRecord]:
    """The scenarios of a corpus that ships with the package.

    >>> len(load_corpus()), len(load_corpus("test")), len(load_corpus(name="plain"))
    (210, 41, 420)

    Args:
        split: only the scenarios of this split; by default all of them.
        name: one of `CORPORA`.

    Raises:
        UnknownNameError: if there is no such split or corpus.
    """
    if name not in CORPORA:
        raise UnknownNameError("corpus", name, list(CORPORA))
    if split is None:
        return list(_corpus(name))
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    return [record for record in _corpus(name) if split_of(record) == split]


def load_source(source: str | Path | None, split: str | None = None) -> list[ScenarioRecord]:
    """The scenarios of a file, or of a split of a corpus that ships.

    Args:
        source: a file, a name of `CORPORA`, or None for the default corpus.
        split: of a corpus; a file is taken whole.

    Raises:
        ScenarioError: if the file can't be read or is not as it should be.
        UnknownNameError: if there is no such split.
    """
    if source is None or str(source) in CORPORA:
        return load_corpus(split, DEFAULT_CORPUS if source is None else str(source))
    return load(source)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of one line of a scenario file; published as `schema.json`.

    Types are described by the first paragraph of their docstrings.

    >>> json_schema()["$defs"]["Persona"]["description"]
    "The persuadee's hidden state: traits, initial attitude and concerns."
    """
    schema = ScenarioRecord.model_json_schema()
    for definition in (schema, *schema["$defs"].values()):
        definition["description"] = definition["description"].partition("\n\n")[0]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

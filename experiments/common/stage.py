"""Stages of a run: each a folder that is made once and kept while its inputs are unchanged."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.common.storage import read_json, read_record, write_json
from persuade_env.errors import RunError

_BEGUN, _DONE = "begun.json", "done.json"
_LOGS = frozenset({_BEGUN, _DONE, "timings.json"})
"""Files that say how a stage went, and no part of what it made."""
EARLIER = "earlier"
"""In a run's folder: what was moved aside for stages that were made afresh."""
_MAX_SHOWN = 8
"""Differences that a message lists; the others are counted."""


class StageMismatchError(RunError):
    """A stage's folder holds what was made from other inputs; nothing was changed."""

    kind = "stage_mismatch"


@dataclass(frozen=True)
class Stage:
    """A named piece of a run.

    `done.json` in the stage's folder says from which inputs it was made. A stage that was
    killed keeps what it had finished and goes on from there. A folder that was made, or begun,
    from other inputs is never written to and never removed: see `run`.
    """

    name: str
    make: Callable[[Path], None]
    """Fills the folder, which may hold what an earlier, killed attempt had finished."""
    inputs: Mapping[str, Any]
    """Plain JSON: the settings that matter, and digests of what earlier stages made."""

    def run(self, root: Path, *, fresh: bool = False) -> bool:
        """Makes the stage in `root/name` unless it is there already.

        Args:
            root: the run's folder.
            fresh: move what was made from other inputs to `root/earlier` and make it anew.

        Returns:
            Whether anything was done.

        Raises:
            StageMismatchError: without `fresh`, if the folder was made from other inputs; the
                message names the differences.
        """
        if self.is_made(root):
            return False
        folder = root / self.name
        if problem := self._problem(folder):
            if not fresh:
                raise StageMismatchError(problem)
            move_aside(folder, root / EARLIER)
        inputs = _as_json(self.inputs)
        write_json(folder / _BEGUN, {"inputs": inputs})
        began = time.perf_counter()
        self.make(folder)
        seconds = round(time.perf_counter() - began, 1)
        # Last, so that a folder with this file is a whole stage.
        write_json(
            folder / _DONE,
            {"inputs": inputs, "outputs": digest(folder), "seconds": seconds},
        )
        return True

    def is_made(self, root: Path) -> bool:
        """Whether `root/name` has it whole, and made from these inputs."""
        folder = root / self.name
        done = read_json(folder / _DONE)
        if not isinstance(done, dict) or done.get("inputs") != _as_json(self.inputs):
            return False
        return bool(done.get("outputs") == digest(folder))

    def _problem(self, folder: Path) -> str:
        """Why the folder can't be gone on with, as a message; empty if it can."""
        done, begun = read_record(folder / _DONE), read_record(folder / _BEGUN)
        recorded = (done or begun).get("inputs")
        if recorded is None:
            if folder.is_dir() and any(folder.iterdir()):
                return (
                    f"{folder} holds files that no stage made; choose another folder with --out, "
                    "or move them aside with --fresh"
                )
            return ""
        if changes := differences(recorded, _as_json(self.inputs)):
            shown = changes[:_MAX_SHOWN]
            if len(changes) > len(shown):
                shown.append(f"… and {len(changes) - len(shown)} more")
            lines = "\n".join(f"  {line}" for line in shown)
            return (
                f"{folder} was made with other settings or from other inputs:\n{lines}\n"
                "Nothing was changed. Choose another folder with --out, or make it anew with "
                "--fresh, which moves the old stages aside."
            )
        if done:
            return (
                f"{folder} is damaged: its files are not those that were made; delete it, or move "
                "it aside with --fresh, to have it made anew"
            )
        return ""


def digest(folder: Path) -> str:
    """Of the names and contents of all that a stage made, its logs left out."""
    parts = [
        f"{path.relative_to(folder).as_posix()} {_digest(path.read_bytes())}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in _LOGS and not path.name.startswith(".")
    ]
    return _digest("\n".join(parts).encode())


def digest_of(data: Any) -> str:
    """Of plain JSON, for inputs that are too large to be stored with every stage."""
    return _digest(json.dumps(data, sort_keys=True, ensure_ascii=False).encode())


def seconds(root: Path, name: str) -> float:
    """How long the call that finished a stage spent on it; 0 if it was not made.

    What an earlier, killed call had spent is not known.
    """
    return float(read_record(root / name / _DONE).get("seconds", 0.0))


def move_aside(folder: Path, earlier: Path) -> None:
    """Renames a folder to `earlier/NAME-1`, or the next number that is free."""
    earlier.mkdir(parents=True, exist_ok=True)
    number = 1
    while (earlier / f"{folder.name}-{number}").exists():
        number += 1
    folder.rename(earlier / f"{folder.name}-{number}")


def differences(recorded: Any, current: Any, path: str = "") -> list[str]:
    """One line for each value that is another one, or there on one side alone."""
    if isinstance(recorded, str) and isinstance(current, Mapping):
        return ["it was made by an earlier version of this suite"]
    if not isinstance(recorded, Mapping) or not isinstance(current, Mapping):
        return [] if recorded == current else [f"{path}: {_short(recorded)}, now {_short(current)}"]
    lines: list[str] = []
    for key in sorted({*recorded, *current}):
        name = f"{path}.{key}" if path else key
        if key not in recorded:
            lines.append(f"{name}: now {_short(current[key])}")
        elif key not in current:
            lines.append(f"{name}: {_short(recorded[key])}, now nothing")
        else:
            lines += differences(recorded[key], current[key], name)
    return lines


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _as_json(inputs: Mapping[str, Any]) -> Any:
    """What the inputs are once they were written and read."""
    return json.loads(json.dumps(inputs, sort_keys=True))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()

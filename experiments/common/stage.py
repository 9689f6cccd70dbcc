"""Stages of a run: each a folder that is made once and kept while its inputs are unchanged."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.common.storage import read_json, write_json

_BEGUN, _DONE = "begun.json", "done.json"
_LOGS = frozenset({_BEGUN, _DONE, "timings.json"})
"""Files that say how a stage went, and no part of what it made."""


@dataclass(frozen=True)
class Stage:
    """A named piece of a run.

    `done.json` in the stage's folder says from which inputs it was made. A stage that was
    killed keeps what it had finished if its inputs are the same as when it began, so that it
    can go on from there, and starts anew if they are not.
    """

    name: str
    make: Callable[[Path], None]
    """Fills the folder, which may hold what an earlier, killed attempt had finished."""
    inputs: Mapping[str, Any]
    """Plain JSON: the settings that matter, and digests of what earlier stages made."""

    def run(self, root: Path) -> bool:
        """Makes the stage in `root/name` unless it is there already.

        Returns:
            Whether anything was done.
        """
        if self.is_made(root):
            return False
        folder, fingerprint = root / self.name, self._fingerprint
        done = read_json(folder / _DONE)
        if (read_json(folder / _BEGUN) or {}).get("inputs") != fingerprint or done:
            shutil.rmtree(folder, ignore_errors=True)
        write_json(folder / _BEGUN, {"inputs": fingerprint})
        began = time.perf_counter()
        self.make(folder)
        seconds = round(time.perf_counter() - began, 1)
        # Last, so that a folder with this file is a whole stage.
        write_json(
            folder / _DONE,
            {"inputs": fingerprint, "outputs": digest(folder), "seconds": seconds},
        )
        return True

    def is_made(self, root: Path) -> bool:
        """Whether `root/name` has it whole, and made from these inputs."""
        folder = root / self.name
        done = read_json(folder / _DONE)
        if not done or done["inputs"] != self._fingerprint:
            return False
        return bool(done["outputs"] == digest(folder))

    @property
    def _fingerprint(self) -> str:
        return _digest(json.dumps(self.inputs, sort_keys=True).encode())


def digest(folder: Path) -> str:
    """Of the names and contents of all that a stage made, its logs left out."""
    parts = [
        f"{path.relative_to(folder).as_posix()} {_digest(path.read_bytes())}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in _LOGS and not path.name.startswith(".")
    ]
    return _digest("\n".join(parts).encode())


def seconds(root: Path, name: str) -> float:
    """How long the call that finished a stage spent on it; 0 if it was not made.

    What an earlier, killed call had spent is not known.
    """
    return float((read_json(root / name / _DONE) or {}).get("seconds", 0.0))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()

"""Append-only files that survive being killed: a torn last line is dropped on reading."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from persuade_env.errors import RunError

"""What is replaced where a name becomes a folder's; specs speak with `+`, `@` and `=`."""


def file_stem(name: str) -> str:
    """A name as part of a file's name: as it is where that is safe, else told apart by a digest.

    >>> file_stem("dpo@concerns--learned+concerns")
    'dpo@concerns--learned+concerns'
    >>> file_stem("../x--y") != file_stem(".._x--y")
    True
    """
    safe = re.sub(r"[^\w.+@=:-]+", "_", name)[:120]
    if safe == name and not name.startswith("."):
        return name
    digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=5).hexdigest()
    return f"{safe.lstrip('.')}-{digest}"


def write_atomically(path: Path, text: str) -> None:
    """Writes a whole file or leaves the old one; never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # What UTF-8 can't write is half a surrogate pair, whose escape is the same in JSON.
        with scratch.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """`write_atomically` of readable JSON with sorted keys."""
    write_atomically(path, json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON of a file, or None where there is no such file.

    Raises:
        RunError: if it can't be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"cannot read {path}: {error}; delete it to have it made anew") from error


def read_record(path: Path) -> dict[str, Any]:
    """The JSON object of a file; empty where there is no such file.

    Raises:
        RunError: if it can't be read, or holds something else.
    """
    data = read_json(path)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise damaged(path)
    return data


def damaged(path: Path) -> RunError:
    """The error for a file whose content isn't what this program writes.

    >>> str(damaged(Path("results.json")))
    'results.json is damaged; delete it to have it made anew'
    """
    return RunError(f"{path} is damaged; delete it to have it made anew")


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turns what a wrong value in a file's content leads to into one clear error.

    Raises:
        RunError: that names the file.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise damaged(path) from error


class BatchLog:
    """A JSON Lines file of finished batches: what is in it need not be done again.

    A line is `{"batch": key, "rows": [...]}`; it is on disk before `append` returns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, list[dict[str, Any]]]:
        """Finished batches by key. A torn last line, left by a kill, is cut off the file."""
        if not self.path.exists():
            return {}
        batches: dict[str, list[dict[str, Any]]] = {}
        good = 0
        data = self.path.read_bytes()
        for line in data.splitlines(keepends=True):
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("torn")
                entry = json.loads(line)
                batches[entry["batch"]] = entry["rows"]
            except (ValueError, KeyError, TypeError) as error:
                if good + len(line) < len(data):
                    raise RunError(
                        f"{self.path} is damaged after byte {good}; delete it to have it made anew"
                    ) from error
                with self.path.open("r+b") as file:
                    file.truncate(good)
                break
            good += len(line)
        return batches

    def append(self, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds a finished batch."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(json.dumps({"batch": key, "rows": list(rows)}, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a run directory for this process; the lock goes with the process.

    Raises:
        RunError: if another process holds it, or it can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(f"{folder} is in use by another process") from error
        yield

"""Reads what a run wrote about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.common.storage import read_json
from persuade_env.errors import RunError


def stored_settings(root: Path) -> dict[str, Any]:
    """The settings that a run was made with, as plain JSON.

    Raises:
        RunError: if there is no run in `root`.
    """
    settings = read_json(root / "prepare" / "settings.json")
    if settings is None:
        raise RunError(f"no run in {root}: `persuade run` makes one")
    return dict(settings)

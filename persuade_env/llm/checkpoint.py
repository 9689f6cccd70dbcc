"""A trained model on disk: which base, which LoRA adapters in which order, and what for.

A checkpoint is a folder with `checkpoint.json` and one folder per adapter, in safetensors.
It is complete but for the base model, so it can be copied to another machine.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from persuade_env.errors import ChatError
from persuade_env.llm.builtin_model import EMBEDDED

FILE = "checkpoint.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

Role = Literal["user_model", "persuader"]


class Checkpoint(BaseModel):
    """What `checkpoint.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    base: str = EMBEDDED
    adapters: tuple[str, ...] = ()
    """Folders beside this file, merged into the base in this order."""


def save_checkpoint(
    folder: Path,
    role: Role,
    adapters: Sequence[Path],
    *,
    base: str = EMBEDDED,
) -> Checkpoint:
    """Writes a checkpoint, copying the adapters into it (those already inside stay)."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for index, adapter in enumerate(adapters):
        name = f"adapter-{index}"
        target = folder / name
        target.mkdir(exist_ok=True)
        for file in (ADAPTER_WEIGHTS, "adapter_config.json"):
            if (adapter / file).resolve() != (target / file).resolve():
                shutil.copy2(adapter / file, target / file)
        names.append(name)
    checkpoint = Checkpoint(role=role, base=base, adapters=tuple(names))
    # Last, so that a folder with this file is a whole checkpoint.
    (folder / FILE).write_text(checkpoint.model_dump_json(indent=1) + "\n")
    return checkpoint


def read_checkpoint(folder: Path, role: Role) -> Checkpoint:
    """The checkpoint in a folder.

    Raises:
        ChatError: if there is none, it can't be read, or it is of another role.
    """
    try:
        checkpoint = Checkpoint.model_validate_json((folder / FILE).read_text())
    except FileNotFoundError as error:
        raise ChatError(f"no checkpoint in {folder}: it has no {FILE}") from error
    except (OSError, ValidationError) as error:
        raise ChatError(f"cannot read {folder / FILE}: {error}") from error
    if checkpoint.role != role:
        raise ChatError(f"{folder} holds a {checkpoint.role}, not a {role}")
    return checkpoint


def adapter_paths(folder: Path, checkpoint: Checkpoint) -> tuple[Path, ...]:
    """The folders of a checkpoint's adapters, in merging order."""
    return tuple(folder / name for name in checkpoint.adapters)

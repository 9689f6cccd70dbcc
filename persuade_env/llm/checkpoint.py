"""Checkpoints: a base model's name and LoRA adapters, in one folder.

A checkpoint folder has a `checkpoint.json` and one folder per adapter, in safetensors. It is
self-contained except for the base model, so it can be copied to another machine.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from persuade_env.errors import ChatError
from persuade_env.llm.builtin_model import EMBEDDED

FILE = "checkpoint.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

Role = Literal["user_model", "persuader"]


class Checkpoint(BaseModel):
    """The content of `checkpoint.json`.

    >>> Checkpoint(role="persuader", adapters=("adapter-0",)).base
    'embedded'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    base: str = EMBEDDED
    adapters: tuple[str, ...] = ()
    """Subfolders, merged into the base model in this order."""


def save_checkpoint(
    folder: Path,
    role: Role,
    adapters: Sequence[Path],
    *,
    base: str = EMBEDDED,
) -> Checkpoint:
    """Writes a checkpoint and copies the adapters into it, unless they are inside already.

    Args:
        folder: of the checkpoint; made if it doesn't exist.
        role: what the model was trained for.
        adapters: folders of LoRA adapters, in merging order.
        base: name or path of the base model.
    """
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
    # Written last, so that a folder with this file is a complete checkpoint.
    (folder / FILE).write_text(checkpoint.model_dump_json(indent=1) + "\n")
    return checkpoint


def read_checkpoint(folder: Path, role: Role) -> Checkpoint:
    """Reads the `checkpoint.json` of a folder.

    Raises:
        ChatError: if there is none, it can't be read, or it has another role.
    """
    try:
        checkpoint = Checkpoint.model_validate_json((folder / FILE).read_text())
    except FileNotFoundError as error:
        raise ChatError(f"no checkpoint in {folder}: it has no {FILE}") from error
    except (OSError, ValueError) as error:  # not UTF-8, or not what is expected
        raise ChatError(f"cannot read {folder / FILE}: {error}") from error
    if checkpoint.role != role:
        raise ChatError(f"{folder} holds a {checkpoint.role}, not a {role}")
    return checkpoint


def adapter_paths(folder: Path, checkpoint: Checkpoint) -> tuple[Path, ...]:
    """The folders of a checkpoint's adapters, in merging order."""
    return tuple(folder / name for name in checkpoint.adapters)

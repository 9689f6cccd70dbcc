"""Where an on-policy training run stands, on disk: parameters, moments, progress.

Tensors are kept as safetensors and the rest as JSON, so that reading a run executes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn


def save_state(
    folder: Path,
    number: int,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: dict[str, Any],
) -> None:
    """Writes what is trained, its optimizer's moments and `progress`, all or nothing.

    Args:
        number: of the state; older ones are removed when it is there.
    """
    from safetensors.torch import save_file

    tensors = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            tensors[f"{name}|value"] = parameter.data.contiguous()
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"{name}|{key}"] = value.contiguous()
    made = folder / "state.new"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    save_file(tensors, made / "tensors.safetensors")
    (made / "progress.json").write_text(json.dumps(progress))
    kept = folder / f"state-{number:04d}"
    shutil.rmtree(kept, ignore_errors=True)
    os.replace(made, kept)
    for older in folder.glob("state-*"):
        if older != kept:
            shutil.rmtree(older, ignore_errors=True)


def load_state(
    folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any] | None:
    """Puts the newest state in `folder` back in place; returns its `progress`, None if none."""
    from safetensors.torch import load_file

    states = sorted(folder.glob("state-*"))
    if not states:
        return None
    tensors = load_file(states[-1] / "tensors.safetensors")
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        parameter.data.copy_(tensors[f"{name}|value"])
        moments = {
            key.rpartition("|")[2]: tensor
            for key, tensor in tensors.items()
            if key.rpartition("|")[0] == name and not key.endswith("|value")
        }
        if moments:
            optimizer.state[parameter] = moments
    progress: dict[str, Any] = json.loads((states[-1] / "progress.json").read_text())
    return progress

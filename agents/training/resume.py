"""Saves and restores the state of an on-policy training run: parameters, optimizer, progress.

Tensors are stored as safetensors and the rest as JSON, so that loading executes no code.
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
    """Writes the trainable parameters, the optimizer's moments and `progress` atomically.

    Args:
        folder: of the run's states.
        number: of this state; older states are removed once it is complete.
        module: its parameters that require gradients are saved.
        optimizer: its state for these parameters is saved.
        progress: anything that JSON can represent.
    """
    from safetensors.torch import save_file

    tensors = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            tensors[f"{name}|value"] = parameter.data.contiguous()
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"{name}|{key}"] = value.contiguous()
    scratch = folder / "state.new"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    save_file(tensors, scratch / "tensors.safetensors")
    (scratch / "progress.json").write_text(json.dumps(progress))
    target = folder / f"state-{number:04d}"
    shutil.rmtree(target, ignore_errors=True)
    os.replace(scratch, target)
    for older in folder.glob("state-*"):
        if older != target:
            shutil.rmtree(older, ignore_errors=True)


def load_state(
    folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any] | None:
    """Restores the newest state in `folder` into `module` and `optimizer`.

    Returns:
        The state's `progress`, or None if there is no state.
    """
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

"""Chooses the floating-point format, bf16 or fp32, for training and generation on this machine."""

from __future__ import annotations

import json
import os
import platform
import time
from functools import lru_cache
from pathlib import Path

import torch

from persuade_env.llm.builtin_model import cache_dir

_ROWS, _INPUTS, _OUTPUTS = 512, 576, 1536  # a layer of the built-in model during prefill
_TRAINING_THRESHOLD = 1.25
"""Speedup of fp32 above which it is used in training; it takes twice the memory."""
_GENERATION_THRESHOLD = 2.75
"""The same in generation, which is bound by memory bandwidth more than by arithmetic."""


def training_dtype() -> torch.dtype:
    """The format of weights in training: bf16, or fp32 on a CPU where that is faster."""
    if torch.cuda.is_available():
        return torch.bfloat16
    return torch.float32 if bf16_slowdown() > _TRAINING_THRESHOLD else torch.bfloat16


def generation_dtype() -> torch.dtype:
    """The format of weights in generation: bf16, or fp32 on a CPU where that is much faster."""
    if torch.cuda.is_available():
        return torch.bfloat16
    return torch.float32 if bf16_slowdown() > _GENERATION_THRESHOLD else torch.bfloat16


@lru_cache(maxsize=1)
def bf16_slowdown() -> float:
    """Time of a prefill's matrix products in bf16 over that in fp32, measured once per machine.

    The instruction sets that a processor reports do not predict it: typical values are below 0.5
    with matrix units for bf16, about 2 with `avx512_bf16` alone, and about 4 without either
    (`docs/results/performance.md`). The measurement takes some 20 ms. It is stored beside the
    converted models, so that a resumed run, or one under another load, computes in the same format.
    """
    path = cache_dir() / "precision.json"
    machine = " ".join(
        (
            platform.node(),
            torch.backends.cpu.get_cpu_capability(),
            f"torch {torch.__version__}",
            f"{torch.get_num_threads()} threads",
        )
    )
    measured = _read(path)
    if machine not in measured:
        measured[machine] = _seconds(torch.bfloat16) / _seconds(torch.float32)
        _write(path, measured)
    return measured[machine]


def _read(path: Path) -> dict[str, float]:
    try:
        return {name: float(ratio) for name, ratio in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _write(path: Path, measured: dict[str, float]) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps(measured, indent=1))
        scratch.replace(path)
    except OSError:  # a read-only folder: the next process measures again
        scratch.unlink(missing_ok=True)


def _seconds(dtype: torch.dtype) -> float:
    """Time of a matrix product, the minimum of several, to which other load matters least."""
    inputs = torch.ones(_ROWS, _INPUTS, dtype=dtype)
    weights = torch.ones(_OUTPUTS, _INPUTS, dtype=dtype)
    durations = []
    with torch.inference_mode():
        for _ in range(8):
            start = time.perf_counter()
            torch.nn.functional.linear(inputs, weights)
            durations.append(time.perf_counter() - start)
    return min(durations)

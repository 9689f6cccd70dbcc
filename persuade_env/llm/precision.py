"""Which number format a model is trained in, and sampled from, on this machine."""

from __future__ import annotations

import json
import os
import platform
import time
from functools import lru_cache
from pathlib import Path

import torch

from persuade_env.llm.builtin_model import cache_dir

_ROWS, _INPUTS, _OUTPUTS = 512, 576, 1536  # a layer of the embedded model, reading a prompt
_CLEARLY = 1.25
"""How much faster fp32 has to be to train in it: it takes twice the memory."""
_BY_FAR = 2.75
"""And to generate in it: decoding reads weights, keys and values more than it multiplies."""


def training_dtype() -> torch.dtype:
    """bf16 on a GPU; on a CPU bf16 too, unless fp32 is clearly faster there."""
    if torch.cuda.is_available():
        return torch.bfloat16
    return torch.float32 if cpu_ratio() > _CLEARLY else torch.bfloat16


def generation_dtype() -> torch.dtype:
    """bf16 on a GPU; on a CPU bf16 too, unless fp32 is faster by far there."""
    if torch.cuda.is_available():
        return torch.bfloat16
    return torch.float32 if cpu_ratio() > _BY_FAR else torch.bfloat16


@lru_cache(maxsize=1)
def cpu_ratio() -> float:
    """Seconds of a prompt's matrix products in bf16 over those in fp32, measured once per machine.

    A processor's flags don't tell. Machines seen so far (`docs/performance.md`): below 0.5 with
    matrix units for bf16; about 2 on one that lists `avx512_bf16`, where training was 1.55 times as
    fast in fp32 and generating 1.2 times as fast in bf16; about 4 on one without, where both
    are faster in fp32. The measurement takes some 20 ms. It is kept beside the converted models:
    a run that goes on later, or under another load, computes in the same format.
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
    known = _read(path)
    if machine not in known:
        known[machine] = _seconds(torch.bfloat16) / _seconds(torch.float32)
        _write(path, known)
    return known[machine]


def _read(path: Path) -> dict[str, float]:
    try:
        return {name: float(ratio) for name, ratio in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _write(path: Path, known: dict[str, float]) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps(known, indent=1))
        scratch.replace(path)
    except OSError:  # a folder that can't be written to: measured anew by the next process
        scratch.unlink(missing_ok=True)


def _seconds(dtype: torch.dtype) -> float:
    """The quickest of several products, which another program's load disturbs least."""
    inputs = torch.ones(_ROWS, _INPUTS, dtype=dtype)
    weights = torch.ones(_OUTPUTS, _INPUTS, dtype=dtype)
    taken = []
    with torch.inference_mode():
        for _ in range(8):
            begun = time.perf_counter()
            torch.nn.functional.linear(inputs, weights)
            taken.append(time.perf_counter() - begun)
    return min(taken)

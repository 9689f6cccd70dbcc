"""Which number format a model is trained in, and sampled from, on this machine."""

from __future__ import annotations

import time
from functools import lru_cache

import torch

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
    """Seconds of a prompt's matrix products in bf16 over those in fp32, measured once per process.

    A processor's flags don't tell. Machines seen so far (`docs/performance.md`): below 0.5 with
    matrix units for bf16; about 2 on one that lists `avx512_bf16`, where training was 1.55 times as
    fast in fp32 and generating 1.2 times as fast in bf16; about 4 on one without, where both
    are faster in fp32. The measurement takes some 20 ms.
    """
    return _seconds(torch.bfloat16) / _seconds(torch.float32)


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

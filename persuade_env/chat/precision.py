"""Which number format a model is trained in on this machine."""

from __future__ import annotations

import time
from functools import lru_cache

import torch

_ROWS, _INPUTS, _OUTPUTS = 512, 576, 1536  # a layer of the embedded model, reading a prompt
_CLEARLY = 1.25
"""How much faster fp32 has to be: it takes twice the memory."""


def training_dtype() -> torch.dtype:
    """bf16 on a GPU; on a CPU bf16 too, unless fp32 is clearly faster there.

    Generating is another matter: decoding reads weights more than it multiplies, and bf16, half the
    size, was the faster one there on every machine.
    """
    return torch.bfloat16 if torch.cuda.is_available() else cpu_dtype()


@lru_cache(maxsize=1)
def cpu_dtype() -> torch.dtype:
    """The faster of bf16 and fp32 for a prompt's matrix products, measured once per process.

    A processor's flags don't tell: of two machines that both list `avx512_bf16`, one trained 1.4
    times as fast in bf16 as in fp32, the other 1.55 times as fast in fp32
    (`docs/performance.md`). The measurement takes some 20 ms.
    """
    slower = _seconds(torch.bfloat16) > _CLEARLY * _seconds(torch.float32)
    return torch.float32 if slower else torch.bfloat16


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

"""How the process deals with memory. What is asked of libc only glibc has; elsewhere it is left."""

from __future__ import annotations

import ctypes
import gc
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGE = 32 * 2**20  # the highest that glibc takes


def keep_freed_memory() -> None:
    """Reuses freed blocks of up to 32 MB rather than hand them back to the system at once.

    Training allocates and frees hundreds of megabytes per step; without this a sixth of a
    step on 2 cores went into page faults (`docs/results/performance.md`). Larger blocks (logits) do
    go
    back: kept as well, they left holes that no later one fitted, and a run grew to 9 GB.
    """
    mallopt = _from_libc("mallopt")
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def keep_few_kernels() -> None:
    """Lets PyTorch keep 64 compiled CPU kernels rather than 1,024; call it before it is loaded.

    Every length of a text is a kernel of its own for each kind of matrix product, 2 MB with its
    scratch memory, and few lengths come back soon: a dialogue's benchmark held 0.8 GB of them
    and was no faster for it (`docs/results/performance.md`). What the environment says goes first.
    """
    for name in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        os.environ.setdefault(name, "64")


def release_freed_memory() -> None:
    """Hands back what is free, after a stage that needed much."""
    gc.collect()
    malloc_trim = _from_libc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _from_libc(name: str) -> ctypes._NamedFuncPointer | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None

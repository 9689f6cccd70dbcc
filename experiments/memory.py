"""How the process deals with memory; only glibc has these calls, elsewhere they do nothing."""

from __future__ import annotations

import ctypes
import gc
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory() -> None:
    """Reuses large freed blocks rather than hand them back to the system at once.

    Training allocates and frees hundreds of megabytes per step; without this a sixth of a
    step on 2 cores went into page faults (`docs/performance.md`).
    """
    mallopt = _from_libc("mallopt")
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def release_freed_memory() -> None:
    """Hands back what is free, after a stage that needed much."""
    gc.collect()
    malloc_trim = _from_libc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _from_libc(name: str) -> ctypes._NamedFuncPointer | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None

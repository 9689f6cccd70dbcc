"""Loaded language models with an owner: shared while it lives, let go when it says so."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class ModelPool:
    """Keeps what was loaded at hand, under the name that it was asked for.

    Two users or agents that name the same model share one copy of it. `clear` lets go of all;
    so does leaving a `with` block. The least recently used goes first when there are too many.

    Args:
        max_models: kept at the same time.

    >>> with ModelPool() as models:
    ...     models.get("squares", lambda: [0, 1, 4]) is models.get("squares", list)
    True
    """

    def __init__(self, max_models: int = 6) -> None:
        self.max_models = max_models
        self._loaded: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """What is kept under `key`, loaded by `load` if nothing is."""
        if key not in self._loaded:
            loaded = load()  # before anything is let go: it may fail
            self._loaded[key] = loaded
        self._loaded.move_to_end(key)
        result: T = self._loaded[key]
        while len(self._loaded) > self.max_models:
            self._loaded.popitem(last=False)
        return result

    def clear(self) -> None:
        """Lets go of everything; what is still held elsewhere goes on to work."""
        self._loaded.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

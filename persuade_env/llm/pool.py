"""An LRU pool of loaded models, so that users and agents share them and an owner can free them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class ModelPool:
    """Caches loaded models by key and evicts the least recently used one.

    Users and agents that name the same model share one copy. `clear` frees all models, as does
    leaving a `with` block.

    >>> with ModelPool() as models:
    ...     models.get("squares", lambda: [0, 1, 4]) is models.get("squares", list)
    True

    Args:
        max_models: kept at the same time.
    """

    def __init__(self, max_models: int = 6) -> None:
        self.max_models = max_models
        self._loaded: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """The model under `key`, which `load` makes if there is none."""
        if key not in self._loaded:
            loaded = load()  # before any eviction, because it may fail
            self._loaded[key] = loaded
        self._loaded.move_to_end(key)
        result: T = self._loaded[key]
        while len(self._loaded) > self.max_models:
            self._loaded.popitem(last=False)
        return result

    def clear(self) -> None:
        """Removes all models from the pool; references elsewhere stay valid."""
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

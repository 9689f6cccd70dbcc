"""Unit vectors of texts, from static word embeddings (wordllama) whose weights are in the wheel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

_CACHED_TEXTS = 8192


class Embedder:
    """Unit vectors of texts, with a bounded memory that changes no answer.

    Silence is the zero vector: similar to nothing.
    """

    def __init__(self) -> None:
        self._vectors: dict[str, np.ndarray] = {}

    def __call__(self, text: str) -> np.ndarray:
        """The vector of one text, (dimension,)."""
        if text not in self._vectors:
            self.remember([text])
        return self._vectors[text]

    def all(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of n texts, (n, dimension)."""
        self.remember(texts)
        return np.stack([self._vectors[text] for text in texts])

    def remember(self, texts: Sequence[str]) -> None:
        """Embeds the texts that aren't known yet, in one call."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if not new:
            return
        if len(self._vectors) + len(new) > _CACHED_TEXTS:
            kept = {text: self._vectors[text] for text in texts if text in self._vectors}
            self._vectors = kept
        spoken = [text for text in new if text.strip()]
        if spoken:
            vectors = _wordllama().embed(spoken, norm=True)
            self._vectors.update(zip(spoken, vectors, strict=True))
        for text in new:  # the library can't embed an empty text
            if text not in self._vectors:
                self._vectors[text] = np.zeros(_dimension(), dtype=np.float32)


@lru_cache(maxsize=1)
def _wordllama() -> Any:
    import wordllama

    # `load()` looks for the bundled tokenizer in the wrong folder and would then download it.
    folder = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)


@lru_cache(maxsize=1)
def _dimension() -> int:
    return int(_wordllama().embed(["a"]).shape[-1])

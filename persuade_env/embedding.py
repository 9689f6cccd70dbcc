"""Unit vectors of texts, from static word embeddings (wordllama) whose weights are in the wheel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        self._vectors.update(zip(spoken, _unit_vectors(spoken), strict=True))
        for text in new:  # silence has no tokens to take the mean of
            if text not in self._vectors:
                self._vectors[text] = np.zeros(_vocabulary().vectors.shape[1], dtype=np.float32)


@dataclass(frozen=True)
class _Vocabulary:
    """A tokenizer and the vector of each of its tokens, (n_tokens, dimension)."""

    tokenizer: Any
    vectors: np.ndarray


@lru_cache(maxsize=1)
def _vocabulary() -> _Vocabulary:
    import wordllama

    # `load()` looks for the bundled tokenizer in the wrong folder and would then download it.
    folder = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    model.tokenizer.no_padding()
    return _Vocabulary(model.tokenizer, model.embedding)


def _unit_vectors(texts: list[str]) -> np.ndarray:
    """Of each text the mean of its tokens' vectors, at length 1, (n, dimension).

    The bits are those of wordllama's `embed(texts, norm=True)`, which pads a batch to its longest
    text and is slower for it. Each text is summed up by itself, so no vector depends on the batch.
    """
    vocabulary = _vocabulary()
    encoded = vocabulary.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    tokens = [one.ids for one in encoded]
    means = np.empty((len(texts), vocabulary.vectors.shape[1]), dtype=np.float32)
    for mean, ids in zip(means, tokens, strict=True):
        np.add.reduce(vocabulary.vectors[ids], axis=0, out=mean)
    means /= np.fromiter(map(len, tokens), dtype=np.float32)[:, None]
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return means

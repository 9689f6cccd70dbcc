"""Unit vectors of texts, from static word embeddings (wordllama) whose weights are in the wheel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

_CACHED_TEXTS = 8192
_CACHED_WORDS = 16384


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


def _tokens(text: str) -> list[int]:
    """The token ids of a text, put together from those of its words.

    The tokenizer writes `▁` before a text and for each space, and merges neighbours into tokens. No
    token has a `▁` after another character, so nothing is merged across the beginning of a word:
    a word has the same tokens in every text. Texts with runs of spaces, with `▁` or with what
    could be a special token (`<s>`) are taken whole.
    """
    if "  " in text or "▁" in text or "<" in text or text != text.strip(" "):
        return _encoded(text)
    return list(chain.from_iterable(map(_of_word, text.split(" "))))


@lru_cache(maxsize=_CACHED_WORDS)
def _of_word(word: str) -> tuple[int, ...]:
    return tuple(_encoded(word))


def _encoded(text: str) -> list[int]:
    ids: list[int] = _vocabulary().tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def _unit_vectors(texts: Sequence[str]) -> np.ndarray:
    """Of each text the mean of its tokens' vectors, at length 1, (n, dimension).

    The bits are those of wordllama's `embed(texts, norm=True)`, which pads a batch to its longest
    text and is slower for it. Each text is summed up by itself, so no vector depends on the batch.
    """
    vectors = _vocabulary().vectors
    tokens = [_tokens(text) for text in texts]
    means = np.empty((len(texts), vectors.shape[1]), dtype=np.float32)
    for mean, ids in zip(means, tokens, strict=True):
        np.add.reduce(vectors.take(ids, axis=0), axis=0, out=mean)
    means /= np.array([len(ids) for ids in tokens], dtype=np.float32)[:, None]
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return means

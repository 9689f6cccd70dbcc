"""Sentence embeddings: mean-pooled static word embeddings of wordllama, normalized to length 1.

The weights are part of wordllama's wheel, so nothing is downloaded.
"""

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
    """Embeds texts as unit vectors, with a bounded cache that changes no result.

    The dot product of two embeddings is their cosine similarity. An empty text is the zero vector,
    whose similarity to anything is 0.

    >>> embed = Embedder()
    >>> tent, camping, loan = embed.all(["a tent", "let's go camping", "a bank loan"])
    >>> bool(tent @ camping > tent @ loan)
    True
    """

    def __init__(self) -> None:
        self._vectors: dict[str, np.ndarray] = {}

    def __call__(self, text: str) -> np.ndarray:
        """The embedding of one text, (dimension,)."""
        if text not in self._vectors:
            self.precompute([text])
        return self._vectors[text]

    def all(self, texts: Sequence[str]) -> np.ndarray:
        """The embeddings of n texts, (n, dimension)."""
        self.precompute(texts)
        return np.stack([self._vectors[text] for text in texts])

    def precompute(self, texts: Sequence[str]) -> None:
        """Embeds the texts that are not cached yet in one batch."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if not new:
            return
        if len(self._vectors) + len(new) > _CACHED_TEXTS:
            kept = {text: self._vectors[text] for text in texts if text in self._vectors}
            self._vectors = kept
        nonempty = [text for text in new if text.strip()]
        self._vectors.update(zip(nonempty, _unit_vectors(nonempty), strict=True))
        for text in new:  # an empty text has no tokens to average
            if text not in self._vectors:
                self._vectors[text] = np.zeros(_vocabulary().vectors.shape[1], dtype=np.float32)


@dataclass(frozen=True)
class _Vocabulary:
    tokenizer: Any
    vectors: np.ndarray
    """One per token, (n_tokens, dimension)."""


@lru_cache(maxsize=1)
def _vocabulary() -> _Vocabulary:
    import wordllama

    # `load()` looks for the bundled tokenizer in the wrong folder and would then download it.
    folder = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    model.tokenizer.no_padding()
    return _Vocabulary(model.tokenizer, model.embedding)


def _tokens(text: str) -> list[int]:
    """The token ids of a text, concatenated from the cached ids of its words.

    The tokenizer writes `▁` before a text and for each space, and merges neighbours into tokens. No
    token has a `▁` after another character, so nothing is merged across the beginning of a word:
    a word has the same tokens in every text. Texts with runs of spaces, with `▁` or with what
    could be a special token (`<s>`) are tokenized as a whole.
    """
    if "  " in text or "▁" in text or "<" in text or text != text.strip(" "):
        return _tokenize(text)
    return list(chain.from_iterable(map(_word_tokens, text.split(" "))))


@lru_cache(maxsize=_CACHED_WORDS)
def _word_tokens(word: str) -> tuple[int, ...]:
    return tuple(_tokenize(word))


def _tokenize(text: str) -> list[int]:
    ids: list[int] = _vocabulary().tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def _unit_vectors(texts: Sequence[str]) -> np.ndarray:
    """The mean of each text's token vectors, normalized to length 1, (n, dimension).

    Bit for bit wordllama's `embed(texts, norm=True)`, but faster, because it does not pad the
    batch to its longest text. Each text is summed by itself, so no vector depends on the batch.
    """
    vectors = _vocabulary().vectors
    tokens = [_tokens(text) for text in texts]
    means = np.empty((len(texts), vectors.shape[1]), dtype=np.float32)
    for mean, ids in zip(means, tokens, strict=True):
        np.add.reduce(vectors.take(ids, axis=0), axis=0, out=mean)
    means /= np.array([len(ids) for ids in tokens], dtype=np.float32)[:, None]
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return means

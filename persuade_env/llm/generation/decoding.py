"""Batched decoding: the logits of each next token, by transformers or by the fast CPU model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache

from persuade_env.llm.generation.prefix_cache import PrefixCache


class Decoding(Protocol):
    """A batch of n replies during generation, and the logits (n, vocabulary) of the next token."""

    def first(self) -> torch.Tensor:
        """The logits after the prompts."""
        ...

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        """The logits after one more token in every row, (n,)."""
        ...

    def keep(self, rows: torch.Tensor) -> None:
        """Restricts the batch to these rows."""
        ...


class PlainDecoding:
    """Decoding with a transformers model, for any architecture and device.

    Args:
        model: a causal language model.
        inputs: token ids (n, width), padded on the left.
        mask: 1 for tokens and 0 for padding, (n, width).
    """

    def __init__(self, model: PreTrainedModel, inputs: torch.Tensor, mask: torch.Tensor) -> None:
        self._model, self._inputs, self._mask = model, inputs, mask
        self._cache: Cache = DynamicCache(config=model.config)

    def first(self) -> torch.Tensor:
        """See `Decoding.first`."""
        return self._forward(self._inputs)

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        """See `Decoding.next`."""
        self._mask = torch.cat([self._mask, self._mask.new_ones((len(tokens), 1))], dim=1)
        return self._forward(tokens[:, None])

    def keep(self, rows: torch.Tensor) -> None:
        """See `Decoding.keep`."""
        self._cache.batch_select_indices(rows)
        self._mask = self._mask[rows]

    def _forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._model(
            inputs,
            attention_mask=self._mask,
            position_ids=positions_of(self._mask)[:, -inputs.shape[1] :],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        return logits


class CachedDecoding:
    """Decoding with the fast CPU model and a cache of prompt prefixes.

    Args:
        prefixes: the cache, with its model.
        prompts: token ids of each row.
        limit: maximal number of new tokens.
    """

    def __init__(self, prefixes: PrefixCache, prompts: Sequence[Sequence[int]], limit: int) -> None:
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        width = int(lengths.max())
        self._model = prefixes.model
        self._cache, self._logits = prefixes.prefill(prompts, width + limit)
        columns = torch.arange(width + limit)
        masked = (columns < (width - lengths)[:, None]) | (columns >= width)
        self._bias = torch.zeros(masked.shape, dtype=self._model.dtype)
        self._bias.masked_fill_(masked, float("-inf"))
        self._positions = lengths

    def first(self) -> torch.Tensor:
        """See `Decoding.first`."""
        return self._logits

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        """See `Decoding.next`."""
        self._bias[:, self._cache.length] = 0
        logits = self._model.step(tokens, self._positions, self._cache, self._bias)
        self._positions = self._positions + 1
        return logits

    def keep(self, rows: torch.Tensor) -> None:
        """See `Decoding.keep`."""
        self._cache.buffer = self._cache.buffer[:, :, rows]
        self._bias, self._positions = self._bias[rows], self._positions[rows]


def positions_of(mask: torch.Tensor) -> torch.Tensor:
    """Position ids (batch, width) that count from 0 at each row's first token after the padding.

    >>> positions_of(torch.tensor([[0, 0, 1, 1]])).tolist()
    [[0, 0, 0, 1]]
    """
    return (mask.cumsum(-1) - 1).clamp(min=0)

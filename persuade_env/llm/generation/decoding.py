"""A batch of replies in the making: the model's side of sampling, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache

from persuade_env.llm.generation.prefix_cache import PrefixCache


class Decoding(Protocol):
    """Replies in the making, side by side: logits (n, vocabulary) of the token that comes next."""

    def first(self) -> torch.Tensor:
        """After the prompts."""
        ...

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        """After one more token in every row, (n,)."""
        ...

    def keep(self, rows: torch.Tensor) -> None:
        """Goes on with these rows alone."""
        ...


class PlainDecoding:
    """With the model as it is, for any model on any device, and for weights that change."""

    def __init__(self, model: PreTrainedModel, inputs: torch.Tensor, mask: torch.Tensor) -> None:
        self._model, self._inputs, self._mask = model, inputs, mask
        self._cache: Cache = DynamicCache(config=model.config)

    def first(self) -> torch.Tensor:
        return self._forward(self._inputs)

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        self._mask = torch.cat([self._mask, self._mask.new_ones((len(tokens), 1))], dim=1)
        return self._forward(tokens[:, None])

    def keep(self, rows: torch.Tensor) -> None:
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
    """With a packed copy of the weights, after prompts of which the known parts aren't read again.

    Args:
        limit: new tokens at most.
    """

    def __init__(self, prefixes: PrefixCache, prompts: Sequence[Sequence[int]], limit: int) -> None:
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        width = int(lengths.max())
        self._model = prefixes.model
        self._states, self._logits = prefixes.prefill(prompts, width + limit)
        columns = torch.arange(width + limit)
        hidden = (columns < (width - lengths)[:, None]) | (columns >= width)
        self._bias = torch.zeros(hidden.shape, dtype=self._model.dtype)
        self._bias.masked_fill_(hidden, float("-inf"))
        self._positions = lengths

    def first(self) -> torch.Tensor:
        return self._logits

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        self._bias[:, self._states.length] = 0
        logits = self._model.step(tokens, self._positions, self._states, self._bias)
        self._positions = self._positions + 1
        return logits

    def keep(self, rows: torch.Tensor) -> None:
        self._states.buffer = self._states.buffer[:, :, rows]
        self._bias, self._positions = self._bias[rows], self._positions[rows]


def positions_of(mask: torch.Tensor) -> torch.Tensor:
    """Position ids (batch, width) that start at 0 with each row's first real token."""
    return (mask.cumsum(-1) - 1).clamp(min=0)

"""A KV cache of prompt prefixes, so that each turn of a dialogue computes only its new tokens.

The prompt of a turn starts with the prompt of the previous turn, and candidates and simulated paths
of the same context share theirs. Prompts are cut into blocks, and the keys and values of a block
are cached under the token ids from the start of the prompt to the end of the block.

The cache never changes a result. Block boundaries depend on the token ids alone (after the first
message, and wherever a reply may begin), and each block is computed by itself, whether or not
others are cached. So a cold cache performs the same computation on the same shapes as a warm one,
and gives the same bits. (A padded batch would round differently, and a resumed dialogue could
diverge from an uninterrupted one.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from persuade_env.llm.generation.cpu_llama import KVCache, Llama

BLOCK = 128
"""Tokens per block where a chat template has no generation prompt."""


@dataclass(frozen=True)
class _Block:
    keys_values: torch.Tensor
    """(layers, 2, key-value heads, tokens, head size)."""
    logits: torch.Tensor
    """After its last token, (1, vocabulary)."""

    @property
    def nbytes(self) -> int:
        return int(self.keys_values.nbytes + self.logits.nbytes)


class PrefixCache:
    """Prefills prompts and computes each of their blocks once, for a model with fixed weights.

    Args:
        model: computes the keys and values.
        delimiter: the token ids after which a reply begins; without them, blocks are `BLOCK` long.
        max_bytes: the least recently used blocks are evicted above this. A hundred tokens of
            SmolLM2-135M take 2.4 MB in bf16.
    """

    def __init__(
        self, model: Llama, delimiter: Sequence[int] = (), *, max_bytes: int = 768 * 2**20
    ) -> None:
        self.model = model
        self._delimiter = tuple(delimiter)
        self._max_bytes = max_bytes
        self._bytes = 0
        self._blocks: OrderedDict[tuple[int, ...], _Block] = OrderedDict()

    def __len__(self) -> int:
        """The number of cached blocks."""
        return len(self._blocks)

    def boundaries(self, prompt: Sequence[int]) -> list[int]:
        """The indices at which the blocks of a prompt end; tokens after the last are not cached.

        >>> PrefixCache(None).boundaries(range(300))
        [128, 256]
        """
        if not self._delimiter:
            return list(range(BLOCK, len(prompt) + 1, BLOCK))
        ids, size = tuple(prompt), len(self._delimiter)
        starts = [index for index, token in enumerate(ids) if token == self._delimiter[0]]
        ends = [index + size for index in starts if ids[index : index + size] == self._delimiter]
        first_message = next((index for index in starts if index), 0)
        return sorted({*ends, first_message} - {0})

    @torch.inference_mode()
    def prefill(
        self, prompts: Sequence[Sequence[int]], capacity: int
    ) -> tuple[KVCache, torch.Tensor]:
        """Computes the keys and values of prompts, or takes them from the cache.

        Args:
            prompts: token ids, each at least one.
            capacity: positions to reserve, the longest prompt's included.

        Returns:
            Keys and values of the prompts, aligned on the right as if padded on the left to the
            longest, and the logits (n, vocabulary) of the next token of each.
        """
        batch = self.model.new_cache(len(prompts), capacity)
        width = max(map(len, prompts))
        logits = [
            self._prefill_row(tuple(prompt), batch.row(index, width - len(prompt)))
            for index, prompt in enumerate(prompts)
        ]
        batch.length = width
        return batch, torch.cat(logits)

    def _prefill_row(self, prompt: tuple[int, ...], row: KVCache) -> torch.Tensor:
        """Logits (1, vocabulary) after the prompt, whose keys and values are written to `row`."""
        logits = torch.empty(0)
        begin, ends = 0, self.boundaries(prompt)
        for end in ends:
            block = self._blocks.get(prompt[:end])
            if block is None:
                logits = self._forward(prompt[begin:end], row)
                self._store(prompt[:end], row.buffer[:, :, 0, :, begin:end], logits)
            else:
                row.buffer[:, :, 0, :, begin:end] = block.keys_values
                row.length, logits = end, block.logits
            begin = end
        for end in reversed(ends):  # a prefix is evicted after its continuations
            self._blocks.move_to_end(prompt[:end])
        while self._bytes > self._max_bytes:
            _, evicted = self._blocks.popitem(last=False)
            self._bytes -= evicted.nbytes
        return self._forward(prompt[begin:], row) if begin < len(prompt) else logits

    def _forward(self, ids: Sequence[int], row: KVCache) -> torch.Tensor:
        return self.model.prefill(torch.tensor(ids), row)

    def _store(self, key: tuple[int, ...], keys_values: torch.Tensor, logits: torch.Tensor) -> None:
        self._blocks[key] = block = _Block(keys_values.clone(), logits.clone())
        self._bytes += block.nbytes

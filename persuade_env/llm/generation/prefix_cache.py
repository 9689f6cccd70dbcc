"""Keys and values of prompts already read, so that a turn costs its new tokens and no more.

The prompt of a turn begins with the prompt of the turn before; candidates and paths of a
context, and all agents on a scenario, share theirs. Keys and values are kept by piece of a
prompt, each under the token ids from the prompt's beginning to the piece's end.

Faster, never different: where a piece ends is a matter of the token ids alone (after the first
message, and wherever a reply may begin), and each is read alone, whether or not others are
already there. So it is the same computation of the same shapes, and a cold start gives
the bits of a warm one. (Reading a padded batch at once would round differently, and a
resumed dialogue could take another course than an undisturbed one.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from persuade_env.llm.generation.cpu_llama import Llama, States

BLOCK = 128
"""Tokens per piece where a template has no mark at which replies begin."""


@dataclass(frozen=True)
class _Piece:
    states: torch.Tensor
    """Keys and values (layers, 2, groups, tokens, size)."""
    logits: torch.Tensor
    """After its last token, (1, vocabulary)."""

    @property
    def nbytes(self) -> int:
        return int(self.states.nbytes + self.logits.nbytes)


class PrefixCache:
    """Reads prompts for a model whose weights don't change, each piece once.

    Args:
        mark: the token ids after which a reply begins; without one, pieces are `BLOCK` long.
        max_bytes: the least recently used pieces go first. A hundred tokens of SmolLM2-135M
            take 2.4 MB.
    """

    def __init__(
        self, model: Llama, mark: Sequence[int] = (), *, max_bytes: int = 768 * 2**20
    ) -> None:
        self.model = model
        self._mark = tuple(mark)
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[int, ...], _Piece] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def ends(self, prompt: Sequence[int]) -> list[int]:
        """Where the pieces of a prompt end; what comes after the last is not kept."""
        if not self._mark:
            return list(range(BLOCK, len(prompt) + 1, BLOCK))
        ids, size = tuple(prompt), len(self._mark)
        found = [
            place + size
            for place, token in enumerate(ids)
            if token == self._mark[0] and ids[place : place + size] == self._mark
        ]
        later = (place for place, token in enumerate(ids) if place and token == self._mark[0])
        first_message = next(later, 0)
        return sorted({*found, first_message} - {0})

    @torch.inference_mode()
    def prefill(
        self, prompts: Sequence[Sequence[int]], capacity: int
    ) -> tuple[States, torch.Tensor]:
        """Reads prompts.

        Args:
            prompts: token ids, each at least one.
            capacity: positions to reserve, the longest prompt's included.

        Returns:
            Keys and values of the prompts, aligned on the right as if padded on the left to the
            longest, and the logits (n, vocabulary) that follow each.
        """
        batch = self.model.states(len(prompts), capacity)
        width = max(map(len, prompts))
        logits = [
            self._read(tuple(prompt), batch.row(index, width - len(prompt)))
            for index, prompt in enumerate(prompts)
        ]
        batch.length = width
        return batch, torch.cat(logits)

    def _read(self, prompt: tuple[int, ...], row: States) -> torch.Tensor:
        """Logits (1, vocabulary) after the prompt, whose keys and values go to `row`."""
        logits = torch.empty(0)
        begin, ends = 0, self.ends(prompt)
        for end in ends:
            piece = self._kept.get(prompt[:end])
            if piece is None:
                logits = self._forward(prompt[begin:end], row)
                self._keep(prompt[:end], row.buffer[:, :, 0, :, begin:end], logits)
            else:
                row.buffer[:, :, 0, :, begin:end] = piece.states
                row.length, logits = end, piece.logits
            begin = end
        for end in reversed(ends):  # the beginning of a prompt outlives its continuations
            self._kept.move_to_end(prompt[:end])
        while self._bytes > self._max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.nbytes
        return self._forward(prompt[begin:], row) if begin < len(prompt) else logits

    def _forward(self, ids: Sequence[int], row: States) -> torch.Tensor:
        return self.model.read(torch.tensor(ids), row)

    def _keep(self, key: tuple[int, ...], states: torch.Tensor, logits: torch.Tensor) -> None:
        self._kept[key] = piece = _Piece(states.clone(), logits.clone())
        self._bytes += piece.nbytes

"""The forward pass of a Llama-like model on a CPU, without what its general code costs there.

Measured with SmolLM2-135M on 2 cores in bf16 (`docs/performance.md`): PyTorch lays weights
out anew at every small matrix product, so they are packed once; query, key and value, and
gate and up, are one product each; keys and values lie in one buffer that is filled in place; and
attention is two products and a softmax, where the flash kernel is slow for few queries. The
computation is transformers' own (`tests/persuade_env/llm/generation/test_cpu_llama.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel

_ROWS_HINT = 16  # oneDNN picks the layout for about this many rows; others work too
_KINDS = frozenset({"llama", "mistral", "qwen2"})


class PackedLinear:
    """Linear layers as one, their weights in the layout that oneDNN computes with. No gradient."""

    def __init__(self, *layers: nn.Linear) -> None:
        weight = torch.cat([layer.weight.detach() for layer in layers])
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS_HINT)
        biases = [layer.bias.detach() for layer in layers if layer.bias is not None]
        self.bias = torch.cat(biases) if biases else None

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs, self.packed, self.bias, "none", [], ""
        )
        return output


@dataclass
class States:
    """Keys and values of a batch: `buffer` (layers, 2, rows, groups, capacity, size).

    The first `length` positions are filled. What is not is zero, because what is masked is
    still multiplied, and garbage may be NaN.
    """

    buffer: torch.Tensor
    length: int = 0

    def row(self, index: int, start: int) -> States:
        """One row's positions from `start` on, as states of their own in the same memory."""
        return States(self.buffer[:, :, index : index + 1, :, start:])


@dataclass(frozen=True)
class _Layer:
    attention_norm: torch.Tensor
    query_key_value: PackedLinear
    output: PackedLinear
    mlp_norm: torch.Tensor
    gate_up: PackedLinear
    down: PackedLinear


class Llama:
    """Reads prompts and steps through replies with the weights that a model has now.

    Args:
        model: one that `supports` accepts; it stays as it is.
        depth: only this many of its layers; `read` and `step` then give the hidden states after
            them, (rows, hidden size), where else they give logits.
    """

    def __init__(self, model: PreTrainedModel, depth: int | None = None) -> None:
        config: Any = model.config
        body: Any = model.model
        self.dtype = model.dtype
        self._epsilon: float = config.rms_norm_eps
        self._heads: int = config.num_attention_heads
        self._groups: int = config.num_key_value_heads
        self._size: int = (
            getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        )
        self._embedding = body.embed_tokens.weight.detach()
        self._rotary = body.rotary_emb
        self._norm = body.norm.weight.detach()
        self._head = None if depth else PackedLinear(model.get_output_embeddings())
        self._layers = [
            _Layer(
                attention_norm=layer.input_layernorm.weight.detach(),
                query_key_value=PackedLinear(
                    layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj
                ),
                output=PackedLinear(layer.self_attn.o_proj),
                mlp_norm=layer.post_attention_layernorm.weight.detach(),
                gate_up=PackedLinear(layer.mlp.gate_proj, layer.mlp.up_proj),
                down=PackedLinear(layer.mlp.down_proj),
            )
            for layer in body.layers[:depth]
        ]

    @staticmethod
    def supports(model: PreTrainedModel) -> bool:
        """Whether this is a model on a CPU whose forward pass is the one written here."""
        config: Any = model.config
        windows = getattr(config, "use_sliding_window", config.model_type == "mistral")
        return (
            config.model_type in _KINDS
            and model.device.type == "cpu"
            and config.hidden_act == "silu"
            and not (windows and getattr(config, "sliding_window", None))
            and model.dtype in (torch.float32, torch.bfloat16)
            and torch.backends.mkldnn.is_available()
        )

    def states(self, rows: int, capacity: int) -> States:
        """Empty ones."""
        shape = (len(self._layers), 2, rows, self._groups, capacity, self._size)
        return States(torch.zeros(shape, dtype=self.dtype))

    def read(self, ids: torch.Tensor, states: States) -> torch.Tensor:
        """Goes on with one row: ids (m,) after what `states` hold; logits (1, vocabulary)."""
        return self._forward(*self._after(ids, states))

    def hidden(self, ids: torch.Tensor) -> torch.Tensor:
        """The hidden states (m, hidden size) after its layers of a text of ids (m,) by itself."""
        return self._through_layers(*self._after(ids, self.states(1, len(ids))))[0]

    def _after(
        self, ids: torch.Tensor, states: States
    ) -> tuple[torch.Tensor, torch.Tensor, States, int, torch.Tensor]:
        """The arguments of `_through_layers` for ids (m,) after what one row's `states` hold."""
        count = len(ids)
        positions = torch.arange(states.length, states.length + count)
        # Each token sees all that was before, and of the new ones those up to itself.
        later = torch.full((count, count), float("-inf"), dtype=self.dtype).triu(1)
        return ids[None], positions[None], states, states.length + count, later

    def step(
        self, tokens: torch.Tensor, positions: torch.Tensor, states: States, bias: torch.Tensor
    ) -> torch.Tensor:
        """One more token in every row.

        Args:
            tokens: (n,), to stand at `states.length` in the buffer.
            positions: (n,), where each is in its own text.
            bias: (n, capacity), 0 where a row may look and minus infinity where not.

        Returns:
            Logits (n, vocabulary) of what comes next.
        """
        # The whole buffer, unfilled positions masked: cheaper than the copy of a slice of it.
        capacity = states.buffer.shape[4]
        return self._forward(
            tokens[:, None], positions[:, None], states, capacity, bias[:, None, None, None]
        )

    def _forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        states: States,
        seen: int,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        """Logits (rows, vocabulary) after ids (rows, m), which are added to the states."""
        last = self._through_layers(ids, positions, states, seen, bias)[:, -1]
        return last if self._head is None else self._head(self._normed(last, self._norm))

    def _through_layers(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        states: States,
        seen: int,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        """Hidden states (rows, m, hidden size) of ids (rows, m), which are added to the states.

        `bias` is added to the last of the `seen` positions' scores, as many as it has columns.
        """
        x = F.embedding(ids, self._embedding)
        cos, sin = (one[:, :, None] for one in self._rotary(x, positions))
        half = self._size // 2
        turned = torch.cat([-sin[..., :half], sin[..., half:]], dim=-1)
        end = states.length + ids.shape[1]
        for layer, (keys, values) in zip(self._layers, states.buffer, strict=True):
            joint = layer.query_key_value(self._normed(x, layer.attention_norm))
            heads = joint.view(*ids.shape, self._heads + 2 * self._groups, self._size)
            rotating = heads[:, :, : self._heads + self._groups]
            rotated = rotating * cos + rotating.roll(half, dims=-1) * turned
            keys[:, :, states.length : end] = rotated[:, :, self._heads :].transpose(1, 2)
            values[:, :, states.length : end] = heads[:, :, self._heads + self._groups :].transpose(
                1, 2
            )
            queries = rotated[:, :, : self._heads]
            attended = self._attend(queries, keys[:, :, :seen], values[:, :, :seen], bias)
            x = x + layer.output(attended)
            gate, up = layer.gate_up(self._normed(x, layer.mlp_norm)).chunk(2, dim=-1)
            x = x + layer.down(F.silu(gate) * up)
        states.length = end
        return x

    def _attend(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """Queries (rows, m, heads, size) over keys and values (rows, groups, seen, size)."""
        rows, count, heads, size = queries.shape
        groups, seen = keys.shape[1:3]
        share = heads // groups
        # All query heads of a group in one product, so that keys aren't repeated.
        grouped = (queries * size**-0.5).view(rows, count, groups, share, size)
        grouped = grouped.permute(0, 2, 3, 1, 4).reshape(rows * groups, share * count, size)
        keys, values = (one.reshape(rows * groups, seen, size) for one in (keys, values))
        scores = torch.bmm(grouped, keys.transpose(1, 2)).view(rows, groups, share, count, seen)
        scores[..., -bias.shape[-1] :] += bias
        weights = torch.softmax(scores, dim=-1).view(rows * groups, share * count, seen)
        attended = torch.bmm(weights, values).view(rows, groups, share, count, size)
        return attended.permute(0, 3, 1, 2, 4).reshape(rows, count, heads * size)

    def _normed(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, (x.shape[-1],), weight, self._epsilon)

"""A fast forward pass of Llama-like models on CPUs.

It computes what transformers computes (`tests/persuade_env/llm/generation/test_cpu_llama.py`) with
less overhead for small models and batches (`docs/results/performance.md`):

- weights are packed once into oneDNN's layout, which PyTorch otherwise does at every product;
- query, key and value, and gate and up, are one matrix product each;
- keys and values are written in place into one preallocated buffer;
- attention is two matrix products and a softmax, because the flash kernel is slow for few queries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel

_ROWS_HINT = 16  # oneDNN optimizes the layout for about this many rows; others work too
_MODEL_TYPES = frozenset({"llama", "mistral", "qwen2"})


class PackedLinear:
    """Linear layers with the same input, fused and packed into oneDNN's layout; no gradient.

    Args:
        layers: their outputs are concatenated.
    """

    def __init__(self, *layers: nn.Linear) -> None:
        weight = torch.cat([layer.weight.detach() for layer in layers])
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS_HINT)
        biases = [layer.bias.detach() for layer in layers if layer.bias is not None]
        self.bias = torch.cat(biases) if biases else None

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """The outputs of all layers, concatenated along the last dimension."""
        output: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs, self.packed, self.bias, "none", [], ""
        )
        return output


@dataclass
class KVCache:
    """Keys and values of a batch, of which the first `length` positions are filled.

    Unfilled positions are zero, because masked values are still multiplied, and uninitialized
    memory may contain NaN.

    >>> KVCache(torch.zeros(2, 2, 3, 1, 8, 4)).row(0, start=5).buffer.shape
    torch.Size([2, 2, 1, 1, 3, 4])
    """

    buffer: torch.Tensor
    """(layers, 2, rows, key-value heads, capacity, head size)."""
    length: int = 0

    def row(self, index: int, start: int) -> KVCache:
        """A view of one row's positions from `start` on."""
        return KVCache(self.buffer[:, :, index : index + 1, :, start:])


@dataclass(frozen=True)
class _Layer:
    attention_norm: torch.Tensor
    query_key_value: PackedLinear
    output: PackedLinear
    mlp_norm: torch.Tensor
    gate_up: PackedLinear
    down: PackedLinear


class Llama:
    """Prefill and decoding steps with a packed copy of a model's current weights.

    Args:
        model: one that `supports` accepts; it is not modified.
        depth: use only this many of its layers; `prefill` and `step` then give the hidden states
            after them, (rows, hidden size), instead of logits.
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
        """Whether this class implements the forward pass of a model on its device."""
        config: Any = model.config
        windows = getattr(config, "use_sliding_window", config.model_type == "mistral")
        return (
            config.model_type in _MODEL_TYPES
            and model.device.type == "cpu"
            and config.hidden_act == "silu"
            and not (windows and getattr(config, "sliding_window", None))
            and model.dtype in (torch.float32, torch.bfloat16)
            and torch.backends.mkldnn.is_available()
        )

    def new_cache(self, rows: int, capacity: int) -> KVCache:
        """An empty cache for a batch of `rows` sequences of up to `capacity` tokens."""
        shape = (len(self._layers), 2, rows, self._groups, capacity, self._size)
        return KVCache(torch.zeros(shape, dtype=self.dtype))

    def prefill(self, ids: torch.Tensor, cache: KVCache) -> torch.Tensor:
        """Appends ids (m,) to the cache of one row; returns the next logits (1, vocabulary)."""
        return self._forward(*self._prefill_arguments(ids, cache))

    def hidden_states(self, ids: torch.Tensor) -> torch.Tensor:
        """The hidden states (m, hidden size) after the last layer, of one text with ids (m,)."""
        return self._layer_outputs(*self._prefill_arguments(ids, self.new_cache(1, len(ids))))[0]

    def _prefill_arguments(
        self, ids: torch.Tensor, cache: KVCache
    ) -> tuple[torch.Tensor, torch.Tensor, KVCache, int, torch.Tensor]:
        """The arguments of `_layer_outputs` for ids (m,) that follow one row's cache."""
        count = len(ids)
        positions = torch.arange(cache.length, cache.length + count)
        # Each new token attends to all cached ones, and to the new ones up to itself.
        causal_bias = torch.full((count, count), float("-inf"), dtype=self.dtype).triu(1)
        return ids[None], positions[None], cache, cache.length + count, causal_bias

    def step(
        self, tokens: torch.Tensor, positions: torch.Tensor, cache: KVCache, bias: torch.Tensor
    ) -> torch.Tensor:
        """Appends one token to every row.

        Args:
            tokens: (n,), written at position `cache.length` of the buffer.
            positions: (n,), the position of each token in its own text.
            cache: of the n rows; its length grows by 1.
            bias: (n, capacity), 0 where a row may attend and minus infinity elsewhere.

        Returns:
            Logits (n, vocabulary) of the next token.
        """
        # The whole buffer with unfilled positions masked is cheaper than copying a slice of it.
        capacity = cache.buffer.shape[4]
        return self._forward(
            tokens[:, None], positions[:, None], cache, capacity, bias[:, None, None, None]
        )

    def _forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        cache: KVCache,
        attended: int,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        """Logits (rows, vocabulary) after ids (rows, m), which are appended to the cache."""
        last = self._layer_outputs(ids, positions, cache, attended, bias)[:, -1]
        return last if self._head is None else self._head(self._rms_norm(last, self._norm))

    def _layer_outputs(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        cache: KVCache,
        attended: int,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        """Hidden states (rows, m, hidden size) of ids (rows, m), which are appended to the cache.

        `attended` positions of the cache enter the attention. `bias` is added to the scores of the
        last of them, as many as it has columns.
        """
        x = F.embedding(ids, self._embedding)
        cos, sin = (angles[:, :, None] for angles in self._rotary(x, positions))
        half = self._size // 2
        signed_sin = torch.cat([-sin[..., :half], sin[..., half:]], dim=-1)
        begin, end = cache.length, cache.length + ids.shape[1]
        for layer, (keys, values) in zip(self._layers, cache.buffer, strict=True):
            joint = layer.query_key_value(self._rms_norm(x, layer.attention_norm))
            heads = joint.view(*ids.shape, self._heads + 2 * self._groups, self._size)
            unrotated = heads[:, :, : self._heads + self._groups]
            rotated = unrotated * cos + unrotated.roll(half, dims=-1) * signed_sin
            keys[:, :, begin:end] = rotated[:, :, self._heads :].transpose(1, 2)
            values[:, :, begin:end] = heads[:, :, self._heads + self._groups :].transpose(1, 2)
            queries = rotated[:, :, : self._heads]
            output = self._attend(queries, keys[:, :, :attended], values[:, :, :attended], bias)
            x = x + layer.output(output)
            gate, up = layer.gate_up(self._rms_norm(x, layer.mlp_norm)).chunk(2, dim=-1)
            x = x + layer.down(F.silu(gate) * up)
        cache.length = end
        return x

    def _attend(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """Grouped-query attention.

        Queries are (rows, m, heads, size); keys and values (rows, groups, attended, size).
        """
        rows, count, heads, size = queries.shape
        groups, attended = keys.shape[1:3]
        per_group = heads // groups
        # All query heads of a group in one product, so that keys aren't repeated.
        grouped = (queries * size**-0.5).view(rows, count, groups, per_group, size)
        grouped = grouped.permute(0, 2, 3, 1, 4).reshape(rows * groups, per_group * count, size)
        keys = keys.reshape(rows * groups, attended, size)
        values = values.reshape(rows * groups, attended, size)
        scores = torch.bmm(grouped, keys.transpose(1, 2))
        scores = scores.view(rows, groups, per_group, count, attended)
        scores[..., -bias.shape[-1] :] += bias
        weights = torch.softmax(scores, dim=-1).view(rows * groups, per_group * count, attended)
        output = torch.bmm(weights, values).view(rows, groups, per_group, count, size)
        return output.permute(0, 3, 1, 2, 4).reshape(rows, count, heads * size)

    def _rms_norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, (x.shape[-1],), weight, self._epsilon)

"""Makes a transformers model decode faster on a CPU, without changing what it computes.

Three things hold a small model back there, measured with SmolLM2-135M at batch 32 and
200-token prompts (2 cores, bf16; `docs/performance.md`): PyTorch lays the weights out
anew at every small matrix product, `DynamicCache` copies the whole key-value cache to
append one position, and the flash kernel is slow for a single query token.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

_ATTENTION = "persuade_env_cpu"
_ROWS_HINT = 16  # oneDNN picks the layout for about this many rows; others work too


class PackedLinear(nn.Module):
    """A linear layer whose weights are in the layout that oneDNN computes with. No gradient."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS_HINT)
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(inputs, self.packed, self.bias, "none", [], "")


class ReservedLayer(DynamicLayer):
    """One layer's keys and values in a buffer of fixed capacity that is filled in place.

    Filled row by row first, through layers that `borrow` a row; from `advance` on it serves
    the batch, and hands out the whole buffer: what is not filled yet is masked, which is cheaper
    than the copy that a slice of a batch costs a matrix product.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.length = 0
        self.whole = False

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        batch, heads, _, key_size = key_states.shape
        # Zeros, because what is masked is still multiplied, and garbage may be NaN.
        self._keys = key_states.new_zeros((batch, heads, self.capacity, key_size))
        self._values = value_states.new_zeros((batch, heads, self.capacity, value_states.shape[-1]))
        self.is_initialized = True

    def borrow(self, lender: ReservedLayer, row: int, start: int) -> None:
        """Becomes the positions from `start` on of one row of another layer's buffer."""
        self._keys = lender._keys[row : row + 1, :, start : start + self.capacity]
        self._values = lender._values[row : row + 1, :, start : start + self.capacity]
        self.is_initialized = True

    def advance(self, length: int) -> None:
        """Counts positions as filled that were written by borrowers."""
        self.length, self.whole = length, True
        self._expose()

    def _expose(self) -> tuple[torch.Tensor, torch.Tensor]:
        end = self.capacity if self.whole else self.length
        keys, values = self._keys[:, :, :end], self._values[:, :, :end]
        self.keys, self.values = keys, values
        return keys, values

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        end = self.length + key_states.shape[-2]
        self._keys[:, :, self.length : end] = key_states
        self._values[:, :, self.length : end] = value_states
        self.length = end
        return self._expose()

    def get_seq_length(self) -> int:
        return self.length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return (self.capacity if self.whole else self.length + query_length), 0

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        self._keys, self._values = self._keys[indices], self._values[indices]
        self._expose()


def reserved_cache(model: PreTrainedModel, capacity: int) -> Cache:
    """An empty key-value cache for `capacity` positions, without its buffers."""
    layers = model.config.get_text_config().num_hidden_layers
    return Cache(layers=[ReservedLayer(capacity) for _ in range(layers)])


def _attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    if query.shape[2] != 1:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    batch, heads, _, size = query.shape
    groups, length = key.shape[1:3]
    # All query heads of a key-value head in one product, so that keys aren't repeated.
    keys = key.reshape(batch * groups, length, size).transpose(1, 2)
    scores = torch.bmm(query.reshape(batch * groups, heads // groups, size), keys)
    scores = scores * (size**-0.5 if scaling is None else scaling)
    if attention_mask is not None:
        scores = scores.view(batch, groups, heads // groups, length)
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
    attended = torch.bmm(
        weights.view(batch * groups, heads // groups, length),
        value.reshape(batch * groups, length, value.shape[-1]),
    )
    return attended.view(batch, 1, heads, value.shape[-1]), None


def accelerate_for_inference(model: PreTrainedModel) -> bool:
    """Packs the model's linear layers and sets the attention above, in place.

    Returns:
        Whether it was done. It is not for a model that is not on a CPU, that uses sliding
        windows or other layers than full attention, or where oneDNN is missing.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or {"full_attention"})
    if (
        model.device.type != "cpu"
        or kinds != {"full_attention"}
        or getattr(config, "sliding_window", None)
        or not torch.backends.mkldnn.is_available()
    ):
        return False
    AttentionInterface.register(_ATTENTION, _attention)
    AttentionMaskInterface.register(_ATTENTION, sdpa_mask)
    model.set_attn_implementation(_ATTENTION)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, PackedLinear(child))
    return True

"""Forward passes for TRL's trainers that compute log-probabilities of labelled tokens only.

Without a GPU, TRL projects every position to the whole vocabulary, and computes a preference pair
as two complete chats. With a large vocabulary, few labels and long prompts that takes half of a
training step on a CPU (`docs/results/performance.md`). The forward passes here give the same
numbers and gradients with less computation.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from transformers import PreTrainedModel

IGNORED = -100
"""Label of a token that is excluded from the loss."""

_PER_TOKEN_FIELDS = ("log_probs", "entropy", "mean_logits", "is_top1", "label_mask")


def score_labels_only(model: PreTrainedModel) -> None:
    """Replaces the forward pass of a TRL-prepared model by one that skips unlabelled positions.

    Only labelled positions are projected to the vocabulary.
    """
    from trl.trainer.utils import FusedCausalLMOutput

    original = model.forward

    def forward(
        self: Any,
        *args: Any,
        fused_lm_head: bool = False,
        labels: torch.Tensor | None = None,
        num_items_in_batch: Any = None,
        **kwargs: Any,
    ) -> Any:
        if not fused_lm_head or labels is None:
            return original(*args, labels=labels, **kwargs)
        kwargs["use_cache"] = False
        hidden = self.model(*args, **kwargs).last_hidden_state[:, :-1]
        labels = labels[:, 1:]
        mask = labels != IGNORED
        logits = self.lm_head(hidden[mask]).float()
        all_logprobs = logits.log_softmax(-1)
        label_logprobs = all_logprobs.gather(-1, labels[mask][:, None])[:, 0]
        with torch.no_grad():
            entropy = -(all_logprobs.exp() * all_logprobs).sum(-1)
            is_top1 = logits.argmax(-1) == labels[mask]

        def scattered(values: torch.Tensor) -> torch.Tensor:
            return values.new_zeros(mask.shape).masked_scatter(mask, values)

        count = mask.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
        return FusedCausalLMOutput(
            loss=-label_logprobs.sum() / count,
            log_probs=scattered(label_logprobs),
            entropy=scattered(entropy),
            mean_logits=scattered(logits.detach().mean(-1)),
            is_top1=scattered(is_top1),
            label_mask=mask,
        )

    _replace_forward(model, forward)


def read_prompt_once(model: PreTrainedModel) -> None:
    """Makes a model compute two answers to one prompt in one row: prompt, first, second answer.

    The second answer has the position ids of its own chat and does not attend to the first. Batches
    other than two rows with the same prompt are computed as before.
    """
    inner = model.forward

    def forward(
        self: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        unchanged = {"attention_mask": attention_mask, "labels": labels, **kwargs}
        if labels is None or attention_mask is None or len(input_ids) != 2:
            return inner(input_ids, **unchanged)
        first, second = (int(length) for length in attention_mask.sum(1))
        begins = [int((row != IGNORED).nonzero()[0]) for row in labels]
        # Each answer keeps the prompt's last token, whose logits predict its first.
        shared = begins[0] - 1
        if begins[0] != begins[1] or not torch.equal(*input_ids[:, : begins[0]]):
            return inner(input_ids, **unchanged)

        def packed(rows: torch.Tensor) -> torch.Tensor:
            return torch.cat([rows[0, :first], rows[1, shared:second]])[None]

        ids = packed(input_ids)
        positions = torch.cat([torch.arange(first), torch.arange(shared, second)])
        attends = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
        attends[first:, shared:first] = False
        kwargs["position_ids"] = positions[None].to(ids.device)
        output = inner(
            ids, attention_mask=attends[None, None].to(ids.device), labels=packed(labels), **kwargs
        )
        for name in _PER_TOKEN_FIELDS:
            row = getattr(output, name)[0]
            rows = row.new_zeros(2, input_ids.shape[1] - 1)
            rows[0, : first - 1] = row[: first - 1]
            rows[1, shared : second - 1] = row[first : first + second - shared - 1]
            setattr(output, name, rows)
        return output

    _replace_forward(model, forward)


def _replace_forward(model: PreTrainedModel, forward: Callable[..., Any]) -> None:
    model.forward = MethodType(forward, model)

"""Log-probabilities in training, computed where there is a label and nowhere else.

TRL asks a model for the log-probabilities of its labels. Off a GPU it scores every position
against the whole vocabulary first, and a pair of answers to one prompt as two whole chats. With a
vocabulary of 49,152, few labels and long prompts that was half of a training step on a
CPU (`docs/performance.md`). The forward passes here give the same numbers for less.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from transformers import PreTrainedModel

IGNORED = -100
"""Label of a token that no loss sees."""

_FIELDS = ("log_probs", "entropy", "mean_logits", "is_top1", "label_mask")


def score_labels_only(model: PreTrainedModel) -> None:
    """Gives a model that TRL has prepared a forward pass that projects labelled positions only."""
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
        every = logits.log_softmax(-1)
        chosen = every.gather(-1, labels[mask][:, None])[:, 0]
        with torch.no_grad():
            entropy = -(every.exp() * every).sum(-1)
            top = logits.argmax(-1) == labels[mask]

        def placed(values: torch.Tensor) -> torch.Tensor:
            return values.new_zeros(mask.shape).masked_scatter(mask, values)

        count = mask.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
        return FusedCausalLMOutput(
            loss=-chosen.sum() / count,
            log_probs=placed(chosen),
            entropy=placed(entropy),
            mean_logits=placed(logits.detach().mean(-1)),
            is_top1=placed(top),
            label_mask=mask,
        )

    _replace_forward(model, forward)


def read_prompt_once(model: PreTrainedModel) -> None:
    """Makes a model read two answers to one prompt in one row: prompt, first answer, second.

    The second answer has the positions of its own chat and does not see the first. Other batches
    than two rows with the same prompt are left as they are.
    """
    inner = model.forward

    def forward(
        self: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        plain = {"attention_mask": attention_mask, "labels": labels, **kwargs}
        if labels is None or attention_mask is None or len(input_ids) != 2:
            return inner(input_ids, **plain)
        first, second = (int(length) for length in attention_mask.sum(1))
        begins = [int((row != IGNORED).nonzero()[0]) for row in labels]
        # Each answer keeps the prompt's last token, which is what predicts its first.
        shared = begins[0] - 1
        if begins[0] != begins[1] or not torch.equal(*input_ids[:, : begins[0]]):
            return inner(input_ids, **plain)

        def packed(rows: torch.Tensor) -> torch.Tensor:
            return torch.cat([rows[0, :first], rows[1, shared:second]])[None]

        ids = packed(input_ids)
        positions = torch.cat([torch.arange(first), torch.arange(shared, second)])
        seen = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
        seen[first:, shared:first] = False
        kwargs["position_ids"] = positions[None].to(ids.device)
        output = inner(
            ids, attention_mask=seen[None, None].to(ids.device), labels=packed(labels), **kwargs
        )
        for name in _FIELDS:
            row = getattr(output, name)[0]
            rows = row.new_zeros(2, input_ids.shape[1] - 1)
            rows[0, : first - 1] = row[: first - 1]
            rows[1, shared : second - 1] = row[first : first + second - shared - 1]
            setattr(output, name, rows)
        return output

    _replace_forward(model, forward)


def _replace_forward(model: PreTrainedModel, forward: Callable[..., Any]) -> None:
    model.forward = MethodType(forward, model)

"""What on-policy training optimizes: a language model with a value head, on sampled turns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn


def _nothing() -> torch.Tensor:
    return torch.empty(0)


@dataclass
class Turn:
    """One sampled persuader turn and, once scored, what the losses need of it."""

    episode: int
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    reward: float
    logprobs: torch.Tensor = field(default_factory=_nothing)
    """Of the sampled tokens under the policy that sampled them, (n_tokens,)."""
    reference: torch.Tensor = field(default_factory=_nothing)
    values: torch.Tensor = field(default_factory=_nothing)
    advantages: torch.Tensor = field(default_factory=_nothing)
    returns: torch.Tensor = field(default_factory=_nothing)


class Policy(nn.Module):
    """A causal language model and a value head on its last hidden states.

    Args:
        model: with LoRA adapters, which are trained and whose absence is the reference; or
            plain, then all of it is trained and `reference` is needed.
        reference: a frozen model, where `model` has no adapters to switch off.
    """

    def __init__(self, model: Any, temperature: float, reference: Any = None) -> None:
        super().__init__()
        self.model = model.eval()  # no dropout: sampling and training must agree
        self.temperature = temperature
        self._reference = [reference]  # in a list, so that it is no submodule
        self.value_head = nn.Linear(model.config.hidden_size, 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        self.value_head.to(model.device)

    def score(self, turn: Turn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Log-probability, value and entropy at each sampled token, each (n_tokens,), fp32."""
        hidden, logprobs, entropy = self._forward(self.model, turn)
        values = self.value_head(hidden.float()).squeeze(-1)
        return logprobs, values, entropy

    @torch.no_grad()
    def reference_logprobs(self, turn: Turn) -> torch.Tensor:
        """Log-probabilities under the model that training began from."""
        reference = self._reference[0]
        if reference is not None:
            return self._forward(reference, turn)[1]
        with self.model.disable_adapter():
            return self._forward(self.model, turn)[1]

    def _forward(self, model: Any, turn: Turn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        ids = torch.tensor([[*turn.prompt_ids, *turn.token_ids]], device=inner.device)
        hidden = inner.base_model(ids, use_cache=False).last_hidden_state[0]
        # The state in which a token was chosen is the one before it.
        hidden = hidden[len(turn.prompt_ids) - 1 : -1]
        logits = inner.get_output_embeddings()(hidden).float() / self.temperature
        all_logprobs = torch.log_softmax(logits, dim=-1)
        chosen = torch.tensor(turn.token_ids, device=inner.device)
        logprobs = all_logprobs.gather(1, chosen[:, None]).squeeze(1)
        entropy = -(all_logprobs.exp() * all_logprobs).sum(-1)
        return hidden, logprobs, entropy

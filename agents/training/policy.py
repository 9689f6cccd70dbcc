"""What on-policy training optimizes: a language model with a value head, on sampled turns."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import nn


def _nothing() -> torch.Tensor:
    return torch.empty(0)


@dataclass(kw_only=True)
class TokenBatch:
    """What the losses need of sampled tokens, each (n_tokens,)."""

    logprobs: torch.Tensor = field(default_factory=_nothing)
    """Under the policy that sampled them."""
    reference: torch.Tensor = field(default_factory=_nothing)
    """Log-probabilities under the model that training began from."""
    values: torch.Tensor = field(default_factory=_nothing)
    advantages: torch.Tensor = field(default_factory=_nothing)
    returns: torch.Tensor = field(default_factory=_nothing)


@dataclass
class SampledTurn(TokenBatch):
    """One sampled persuader turn; what is `TokenBatch` of it comes later."""

    episode: int
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    reward: float


def concat(turns: Sequence[SampledTurn]) -> TokenBatch:
    """The tokens of several turns as one stretch."""
    names = [one.name for one in fields(TokenBatch)]
    return TokenBatch(
        **{name: torch.cat([getattr(turn, name) for turn in turns]) for name in names}
    )


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

    def score(
        self, turns: Sequence[SampledTurn]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Log-probability, value and entropy at each sampled token, each (n_tokens,), fp32.

        Args:
            turns: a passage: each goes on from the tokens of the one before (`group_by_prefix`).
                They are read in one forward pass, and their tokens stand in the result in order.
        """
        hidden, logprobs, entropy = self._forward(self.model, turns)
        values = self.value_head(hidden.float()).squeeze(-1)
        return logprobs, values, entropy

    @torch.no_grad()
    def reference_logprobs(self, turns: Sequence[SampledTurn]) -> torch.Tensor:
        """Log-probabilities of a passage under the model that training began from."""
        reference = self._reference[0]
        if reference is not None:
            return self._forward(reference, turns)[1]
        with self.model.disable_adapter():
            return self._forward(self.model, turns)[1]

    def _forward(
        self, model: Any, turns: Sequence[SampledTurn]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        ids = torch.tensor([[*turns[-1].prompt_ids, *turns[-1].token_ids]], device=inner.device)
        hidden = inner.base_model(ids, use_cache=False).last_hidden_state[0]
        # The state in which a token was chosen is the one before it.
        begins = [len(turn.prompt_ids) - 1 for turn in turns]
        hidden = torch.cat(
            [
                hidden[begin : begin + len(turn.token_ids)]
                for begin, turn in zip(begins, turns, strict=True)
            ]
        )
        logits = inner.get_output_embeddings()(hidden).float() / self.temperature
        all_logprobs = torch.log_softmax(logits, dim=-1)
        chosen = torch.tensor([one for turn in turns for one in turn.token_ids])
        logprobs = all_logprobs.gather(1, chosen[:, None].to(inner.device)).squeeze(1)
        entropy = -(all_logprobs.exp() * all_logprobs).sum(-1)
        return hidden, logprobs, entropy


def group_by_prefix(turns: Sequence[SampledTurn]) -> list[list[SampledTurn]]:
    """Groups turns, in order of time, into what can be read in one forward pass.

    The prompt of a dialogue's turn usually goes on from all the tokens of the turn before, as
    they were sampled. Where it doesn't (the earlier turn was not in the format, and reads
    differently in the history), a new passage begins: no loss sees re-tokenized text.
    """
    made: dict[int, list[list[SampledTurn]]] = {}
    for turn in turns:
        mine = made.setdefault(turn.episode, [])
        if mine:
            earlier = (*mine[-1][-1].prompt_ids, *mine[-1][-1].token_ids)
            if turn.prompt_ids[: len(earlier)] == earlier:
                mine[-1].append(turn)
                continue
        mine.append([turn])
    return [passage for mine in made.values() for passage in mine]


def sampling_copy(model: Any) -> Any:
    """A model to sample with: the adapters merged into a copy, or the model where it has none.

    The copy is in fp32: bf16 would round a small update of a weight away. Off a CPU
    (`samples_merged`) the model is sampled from as it is.
    """
    if not hasattr(model, "disable_adapter"):
        return model
    return copy.deepcopy(model).float().merge_and_unload()


def samples_merged(model: Any) -> bool:
    """Whether dialogues come from a `sampling_copy`, which the suite's own decoder takes: merged
    weights give what adapters beside them give, and sample several times as fast on a CPU."""
    return bool(model.device.type == "cpu")

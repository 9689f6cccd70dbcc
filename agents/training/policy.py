"""The policy of on-policy training: a language model with a value head, on sampled turns."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import nn


def _empty() -> torch.Tensor:
    return torch.empty(0)


@dataclass(kw_only=True)
class TokenBatch:
    """Per-token quantities that the losses need, each (n_tokens,).

    >>> TokenBatch(values=torch.zeros(3)).values.shape
    torch.Size([3])
    """

    logprobs: torch.Tensor = field(default_factory=_empty)
    """Log-probabilities under the policy that sampled the tokens."""
    reference: torch.Tensor = field(default_factory=_empty)
    """Log-probabilities under the reference, the model before training."""
    values: torch.Tensor = field(default_factory=_empty)
    advantages: torch.Tensor = field(default_factory=_empty)
    returns: torch.Tensor = field(default_factory=_empty)


@dataclass
class SampledTurn(TokenBatch):
    """One sampled persuader turn; its `TokenBatch` fields are filled in later.

    >>> SampledTurn(episode=0, prompt_ids=(1, 2), token_ids=(3,), reward=0.5).reward
    0.5
    """

    episode: int
    """Index of the episode in the batch."""
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    reward: float


def concat(turns: Sequence[SampledTurn]) -> TokenBatch:
    """Concatenates the tokens of several turns."""
    names = [field.name for field in fields(TokenBatch)]
    return TokenBatch(
        **{name: torch.cat([getattr(turn, name) for turn in turns]) for name in names}
    )


class Policy(nn.Module):
    """A causal language model and a value head on its last hidden states.

    Args:
        model: with LoRA adapters, which are trained and disabled for the reference; or without,
            then all of it is trained and `reference` is needed.
        temperature: of the policy; logits are divided by it.
        reference: a frozen model, where `model` has no adapters to disable.
    """

    def __init__(self, model: Any, temperature: float, reference: Any = None) -> None:
        super().__init__()
        self.model = model.eval()  # no dropout, so that sampling and training agree
        self.temperature = temperature
        self._reference = [reference]  # in a list, so that it is not registered as a submodule
        self.value_head = nn.Linear(model.config.hidden_size, 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        self.value_head.to(model.device)

    def score(
        self, turns: Sequence[SampledTurn]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Log-probability, value and entropy at each sampled token, each (n_tokens,), fp32.

        Args:
            turns: one group of `group_by_prefix`; the tokens of each are a prefix of the next
                turn's prompt, so that one forward pass computes all of them.
        """
        hidden, logprobs, entropy = self._forward(self.model, turns)
        values = self.value_head(hidden.float()).squeeze(-1)
        return logprobs, values, entropy

    @torch.no_grad()
    def reference_logprobs(self, turns: Sequence[SampledTurn]) -> torch.Tensor:
        """Log-probabilities of a group's sampled tokens under the reference, (n_tokens,)."""
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
        # The hidden state that predicts a token is the one before it.
        begins = [len(turn.prompt_ids) - 1 for turn in turns]
        hidden = torch.cat(
            [
                hidden[begin : begin + len(turn.token_ids)]
                for begin, turn in zip(begins, turns, strict=True)
            ]
        )
        logits = inner.get_output_embeddings()(hidden).float() / self.temperature
        all_logprobs = torch.log_softmax(logits, dim=-1)
        token_ids = torch.tensor([token for turn in turns for token in turn.token_ids])
        logprobs = all_logprobs.gather(1, token_ids[:, None].to(inner.device)).squeeze(1)
        entropy = -(all_logprobs.exp() * all_logprobs).sum(-1)
        return hidden, logprobs, entropy


def group_by_prefix(turns: Sequence[SampledTurn]) -> list[list[SampledTurn]]:
    """Groups the turns of each episode so that one forward pass can compute a group.

    The prompt of a turn usually continues the sampled tokens of the episode's previous turn. Where
    it doesn't (the previous turn was malformed, and is rendered differently in the history), a new
    group begins, so that no loss is computed on tokens that were not sampled.

    >>> first = SampledTurn(episode=0, prompt_ids=(1,), token_ids=(2,), reward=0.0)
    >>> second = SampledTurn(episode=0, prompt_ids=(1, 2, 9), token_ids=(3,), reward=0.0)
    >>> [len(group) for group in group_by_prefix([first, second])]
    [2]

    Args:
        turns: in order of time.
    """
    by_episode: dict[int, list[list[SampledTurn]]] = {}
    for turn in turns:
        groups = by_episode.setdefault(turn.episode, [])
        if groups:
            previous = groups[-1][-1]
            prefix = (*previous.prompt_ids, *previous.token_ids)
            if turn.prompt_ids[: len(prefix)] == prefix:
                groups[-1].append(turn)
                continue
        groups.append([turn])
    return [group for groups in by_episode.values() for group in groups]


def sampling_copy(model: Any) -> Any:
    """A model to sample from: a copy with merged adapters, or the model itself without adapters.

    The copy is in fp32, because bf16 would round small updates away.
    """
    if not hasattr(model, "disable_adapter"):
        return model
    return copy.deepcopy(model).float().merge_and_unload()


def samples_from_copy(model: Any) -> bool:
    """Whether to sample from a `sampling_copy`, which the fast CPU decoder can use."""
    return bool(model.device.type == "cpu")

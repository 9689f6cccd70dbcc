"""A chat backend that runs a model in this process, with PyTorch and Hugging Face transformers.

It samples in a loop of its own rather than through `model.generate`: each row of a batch has its
own random stream, derived from its seed; the sampled token ids and their log-probabilities are
returned; and tokens can be constrained to a set, with the model's distribution over that set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from persuade_env.llm.builtin_model import EMBEDDED
from persuade_env.llm.chat_template import encode_chat, generation_prompt_ids
from persuade_env.llm.checkpoint import Role, adapter_paths, read_checkpoint
from persuade_env.llm.generation.cpu_llama import Llama
from persuade_env.llm.generation.decoding import (
    CachedDecoding,
    Decoding,
    PlainDecoding,
    positions_of,
)
from persuade_env.llm.generation.prefix_cache import PrefixCache
from persuade_env.llm.loading import load_merged, load_tokenizer
from persuade_env.protocols import Completion, Message, StopReason
from persuade_env.seeding import generator


@dataclass(frozen=True)
class Choice:
    """The token ids allowed at one step of a reply.

    With `values`, one number per id, the token is not sampled: it is the one whose value
    is nearest to the mean under the model's distribution over the allowed ids.

    >>> Choice(ids=(49, 50), values=(1.0, 2.0)).ids
    (49, 50)
    """

    ids: tuple[int, ...]
    values: tuple[float, ...] = ()


Constraint = Callable[[tuple[int, ...]], Choice | None]
"""Maps the reply's token ids so far to the allowed next ones, or None for any token."""

_COMPACT_BELOW = 0.7  # finished rows leave the batch once fewer than this share are unfinished


@dataclass
class _Row:
    """One reply while it is generated."""

    index: int
    uniforms: np.ndarray  # (max_reply_tokens,) in [0, 1): the row's random stream
    limit: int
    constraint: Constraint | None
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    choices: list[dict[int, float]] = field(default_factory=list)
    stop: StopReason | None = None

    def next_uniform(self) -> float:
        """The random number for the next token; of no effect in a finished row."""
        return float(self.uniforms[min(len(self.token_ids), len(self.uniforms) - 1)])


class TransformersChat:
    """A local causal language model behind the `ChatModel` protocol.

    Args:
        model: set to evaluation mode.
        tokenizer: with a chat template.
        max_context_tokens: of prompt and reply together.
        max_batch: rows per forward pass; larger batches are split.
        top_k: only the most likely tokens are sampled, which avoids sorting the vocabulary.
        fast: for a Llama-like model on a CPU, decode with a packed copy of its weights
            (`persuade_env.llm.generation.cpu_llama`) and cache the keys and values of prompts
            (`persuade_env.llm.generation.prefix_cache`). After the model's weights have changed,
            call `use` again.
        max_prefix_bytes: size of the prompt cache. It should hold the dialogues of a batch, at
            2.4 MB per hundred tokens of SmolLM2-135M in bf16 and twice that in fp32. By default
            512 MiB in bf16 (32 dialogues of 700 tokens), 1 GiB in fp32.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_context_tokens: int = 2048,
        max_batch: int = 32,
        top_k: int = 64,
        fast: bool = True,
        max_prefix_bytes: int | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.max_context_tokens = max_context_tokens
        self.max_batch = max_batch
        self.top_k = top_k
        self._fast = fast
        if max_prefix_bytes is None:
            max_prefix_bytes = 256 * 2**20 * model.dtype.itemsize
        self._max_prefix_bytes = max_prefix_bytes
        self._end_ids = frozenset({int(tokenizer.eos_token_id)})
        self.use(model)

    def use(self, model: PreTrainedModel) -> None:
        """Replaces the model that is sampled from, and clears the prompt cache.

        With `fast`, the linear layers are packed into a copy and the other weights are shared, so
        a model whose weights have changed in place has to be set again.
        """
        self.model = model.eval()
        self._prefixes: PrefixCache | None = None  # freed before the new one is allocated
        if self._fast and Llama.supports(model):
            delimiter = generation_prompt_ids(self.tokenizer)
            self._prefixes = PrefixCache(Llama(model), delimiter, max_bytes=self._max_prefix_bytes)

    def generate(
        self,
        prompts: Sequence[Sequence[Message]],
        seeds: Sequence[int],
        *,
        max_reply_tokens: int,
        temperature: float = 0.8,
        top_p: float = 0.95,
        constraint: Constraint | None = None,
        beginnings: Sequence[str] = (),
    ) -> list[Completion]:
        """One completion per prompt, in order; see `ChatModel.generate`.

        A constrained token is sampled from the model's distribution over the allowed ids
        at temperature 1, which `Completion.choices` keeps.

        Args:
            prompts: n chats.
            seeds: n seeds.
            max_reply_tokens: end of a reply at the latest.
            temperature: of sampling; 0 is greedy.
            top_p: of nucleus sampling.
            constraint: restricts the next token, given the ids sampled so far.
            beginnings: a prefix for each reply, one per prompt or none at all. Its tokens are part
                of the prompt's ids, not of the completion.
        """
        if len(prompts) != len(seeds):
            raise ValueError(f"{len(prompts)} prompts but {len(seeds)} seeds")
        if beginnings and len(beginnings) != len(prompts):
            raise ValueError(f"{len(prompts)} prompts but {len(beginnings)} beginnings")
        encoded = [encode_chat(self.tokenizer, prompt) for prompt in prompts]
        for ids, beginning in zip(encoded, beginnings, strict=False):
            ids += self.tokenizer(beginning, add_special_tokens=False)["input_ids"]
        completions: list[Completion] = []
        for start in range(0, len(encoded), self.max_batch):
            rows = slice(start, start + self.max_batch)
            completions += self._generate_batch(
                encoded[rows], seeds[rows], max_reply_tokens, temperature, top_p, constraint
            )
        return completions

    @torch.inference_mode()
    def token_logprobs(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """Natural log-probability of each token after the first, at temperature 1.

        Args:
            sequences: token ids, each of length at least 2.

        Returns:
            For each sequence of length n, n - 1 values.
        """
        results: list[list[float]] = []
        for start in range(0, len(sequences), self.max_batch):
            batch = [list(ids) for ids in sequences[start : start + self.max_batch]]
            ids, mask = self._pad(batch)
            logits = self.model(
                ids, attention_mask=mask, position_ids=positions_of(mask), use_cache=False
            ).logits[:, :-1]
            logprobs = torch.log_softmax(logits.float(), dim=-1)
            of_tokens = logprobs.gather(2, ids[:, 1:, None]).squeeze(2)
            width = ids.shape[1]
            results += [
                of_tokens[row, width - len(sequence) :].tolist()
                for row, sequence in enumerate(batch)
            ]
        return results

    def _pad(self, batch: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(len(ids) for ids in batch)
        padding = int(self.tokenizer.pad_token_id)
        device = self.model.device
        ids = torch.tensor(
            [[padding] * (width - len(row)) + list(row) for row in batch], device=device
        )
        mask = torch.tensor(
            [[0] * (width - len(row)) + [1] * len(row) for row in batch], device=device
        )
        return ids, mask

    def _generate_batch(
        self,
        prompts: Sequence[list[int]],
        seeds: Sequence[int],
        max_reply_tokens: int,
        temperature: float,
        top_p: float,
        constraint: Constraint | None,
    ) -> list[Completion]:
        rows = [
            _Row(
                index=index,
                uniforms=generator(seed).random(max_reply_tokens),
                limit=min(max_reply_tokens, self.max_context_tokens - len(prompt)),
                constraint=constraint,
            )
            for index, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True))
        ]
        for row in rows:
            if row.limit <= 0:
                row.stop = StopReason.CONTEXT
        active = [row for row in rows if row.stop is None]
        if active:
            self._decode([prompts[row.index] for row in active], active, temperature, top_p)
        return [self._completion(prompts[row.index], row, max_reply_tokens) for row in rows]

    @torch.inference_mode()
    def _decode(
        self, prompts: Sequence[list[int]], rows: list[_Row], temperature: float, top_p: float
    ) -> None:
        limit = max(row.limit for row in rows)
        decoding: Decoding = (
            PlainDecoding(self.model, *self._pad(prompts))
            if self._prefixes is None
            else CachedDecoding(self._prefixes, prompts, limit)
        )
        logits = decoding.first()
        while True:
            tokens = self._sample(logits.float(), rows, temperature, top_p)
            unfinished = [index for index, row in enumerate(rows) if row.stop is None]
            if not unfinished:
                return
            if len(unfinished) < _COMPACT_BELOW * len(rows):
                keep = torch.tensor(unfinished, device=tokens.device)
                decoding.keep(keep)
                tokens = tokens[keep]
                rows = [rows[index] for index in unfinished]
            logits = decoding.next(tokens)

    def _sample(
        self, logits: torch.Tensor, rows: Sequence[_Row], temperature: float, top_p: float
    ) -> torch.Tensor:
        """The next token of every row, (n,); finished rows get padding."""
        scaled = logits if temperature in (0.0, 1.0) else logits / temperature
        normalizer = torch.logsumexp(scaled, dim=-1)
        values, candidates = torch.topk(scaled, min(self.top_k, scaled.shape[-1]), dim=-1)
        # Nucleus sampling (Holtzman et al., 2020): keep a token if the mass before it is below
        # top_p.
        probabilities = torch.softmax(values, dim=-1).double()
        before = torch.cumsum(probabilities, dim=-1) - probabilities
        weights = torch.where(before < top_p, probabilities, 0.0).cpu().numpy()
        uniforms = np.array([row.next_uniform() for row in rows])
        columns = sample_columns(weights, uniforms, greedy=temperature == 0)
        tokens = np.take_along_axis(candidates.cpu().numpy(), columns[:, None], axis=1)[:, 0]
        for index, row in enumerate(rows):
            if row.stop is not None:
                tokens[index] = int(self.tokenizer.pad_token_id)
            elif row.constraint and (allowed := row.constraint(tuple(row.token_ids))) is not None:
                tokens[index] = _choose(logits[index], row, allowed, greedy=temperature == 0)
        chosen = torch.from_numpy(tokens).to(logits.device)
        logprobs = (scaled.gather(1, chosen[:, None])[:, 0] - normalizer).tolist()
        for row, token, logprob in zip(rows, tokens.tolist(), logprobs, strict=True):
            if row.stop is not None:
                continue
            row.token_ids.append(token)
            row.logprobs.append(logprob)
            if token in self._end_ids:
                row.stop = StopReason.STOP
            elif len(row.token_ids) >= row.limit:
                row.stop = StopReason.LENGTH
        return chosen

    def _completion(self, prompt: list[int], row: _Row, max_reply_tokens: int) -> Completion:
        stop = row.stop or StopReason.LENGTH
        if stop is StopReason.LENGTH and row.limit < max_reply_tokens:
            stop = StopReason.CONTEXT
        return Completion(
            text=str(self.tokenizer.decode(row.token_ids, skip_special_tokens=True)).strip(),
            stop_reason=stop,
            prompt_tokens=len(prompt),
            completion_tokens=len(row.token_ids),
            prompt_ids=tuple(prompt),
            token_ids=tuple(row.token_ids),
            logprobs=tuple(row.logprobs),
            choices=tuple(row.choices),
        )


def sample_columns(weights: np.ndarray, uniforms: np.ndarray, *, greedy: bool) -> np.ndarray:
    """Samples one column per row with probability proportional to its weight, by inverse CDF.

    >>> sample_columns(np.array([[1.0, 3.0]]), np.array([0.5]), greedy=False)
    array([1])

    Args:
        weights: (n, k), not negative; need not be normalized.
        uniforms: (n,) random numbers in [0, 1).
        greedy: take the largest weight instead.

    Returns:
        The columns, (n,).
    """
    if greedy:
        return np.asarray(weights.argmax(axis=1))
    cumulative = np.cumsum(weights, axis=1)
    return np.asarray((cumulative <= (uniforms * cumulative[:, -1])[:, None]).sum(axis=1))


def _choose(logits: torch.Tensor, row: _Row, allowed: Choice, *, greedy: bool) -> int:
    """Chooses one of the allowed tokens and appends their distribution to the row's choices."""
    options = torch.softmax(logits[list(allowed.ids)].double(), -1).cpu().numpy()
    row.choices.append(dict(zip(allowed.ids, options.tolist(), strict=True)))
    if allowed.values:
        distances = np.abs(np.asarray(allowed.values) - np.dot(options, allowed.values))
        return allowed.ids[int(distances.argmin())]
    uniforms = np.array([row.next_uniform()])
    return allowed.ids[int(sample_columns(options[None], uniforms, greedy=greedy)[0])]


def load_chat(
    model: str = EMBEDDED,
    *,
    adapters: Sequence[str | Path] = (),
    dtype: torch.dtype | None = None,
    device: str | None = None,
    max_context_tokens: int = 2048,
    max_batch: int = 32,
) -> TransformersChat:
    """Loads a local chat model, with LoRA adapters merged into its weights.

    Args:
        model: `embedded`, a Hugging Face id, or a path.
        adapters: folders of LoRA adapters.
        dtype: `persuade_env.llm.precision.generation_dtype` by default.
        device: the GPU by default if there is one, else the CPU.
        max_context_tokens: of prompt and reply together.
        max_batch: rows per forward pass.

    Raises:
        ChatError: if the model or an adapter can't be loaded.
    """
    return TransformersChat(
        load_merged(model, adapters, dtype=dtype, device=device),
        load_tokenizer(model),
        max_context_tokens=max_context_tokens,
        max_batch=max_batch,
    )


def load_checkpoint(folder: str | Path, role: Role, *, max_batch: int = 32) -> TransformersChat:
    """Loads the chat model of a checkpoint folder (`persuade_env.llm.checkpoint`).

    Args:
        folder: of the checkpoint.
        role: that the checkpoint must have.
        max_batch: rows per forward pass.

    Raises:
        ChatError: if the folder contains no checkpoint of that role.
    """
    folder = Path(folder)
    checkpoint = read_checkpoint(folder, role)
    return load_chat(
        checkpoint.base, adapters=adapter_paths(folder, checkpoint), max_batch=max_batch
    )

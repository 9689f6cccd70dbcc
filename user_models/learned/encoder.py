"""Encodings of persuader turns and texts: hidden states of a language model.

A persuader's turn is encoded as the hidden state, half-way up the layers, of the last token of the
dialogue up to it (`user_models.learned.prompt.encoder_messages`). A single text is encoded as the
mean of its tokens' hidden states; any two such means point in much the same direction, which
`user_models.learned.semantic_embedding` corrects.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from persuade_env.dialogue import Dialogue
from persuade_env.llm.builtin_model import EMBEDDED
from persuade_env.llm.sanitize import sanitize
from user_models.learned.prompt import encoder_messages

if TYPE_CHECKING:
    from persuade_env.llm.generation.cpu_llama import Llama
    from persuade_env.llm.generation.prefix_cache import PrefixCache

ENCODER_DEPTH = 0.5
"""Share of the model's layers that are used. Middle layers predict recorded steps best, by
validation scenarios; the last ones are specialised in the next token."""

_CACHED_TEXTS = 4096
"""Texts whose mean hidden states are kept; of SmolLM2-135M 5 kB each."""


class TurnEncoder:
    """Hidden states of a language model at the end of a persuader's turn.

    Each dialogue is processed alone and in pieces that depend on its token ids only, so its
    encoding is the same to the bit in any batch and whatever was encoded before.

    Args:
        model: any causal language model; of a Llama-like one on a CPU, prefixes are cached.
        tokenizer: with a chat template.
        depth: layers that are used; by default `ENCODER_DEPTH` of them.
        max_prefix_bytes: size of the prefix cache; by default 256 MiB in bf16, 512 in fp32.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        depth: int | None = None,
        max_prefix_bytes: int | None = None,
    ) -> None:
        from persuade_env.llm.chat_template import generation_prompt_ids
        from persuade_env.llm.generation.cpu_llama import Llama
        from persuade_env.llm.generation.prefix_cache import PrefixCache

        self._tokenizer = tokenizer
        self.mean_state = lru_cache(_CACHED_TEXTS)(self._mean_state)
        """The mean of the hidden states of a text's tokens, (hidden size,); 0 of an empty one."""
        layers = model.config.get_text_config().num_hidden_layers
        self._depth = depth or max(1, round(ENCODER_DEPTH * layers))
        self._model: Any = None
        self._cpu_llama: Llama | None = None
        self._prefixes: PrefixCache | None = None
        if Llama.supports(model):
            self._cpu_llama, mark = Llama(model, self._depth), generation_prompt_ids(tokenizer)
            if max_prefix_bytes is None:
                max_prefix_bytes = 128 * 2**20 * model.dtype.itemsize
            self._prefixes = PrefixCache(self._cpu_llama, mark, max_bytes=max_prefix_bytes)
        else:
            self._model = model.eval()

    @classmethod
    def load(cls, base: str = EMBEDDED) -> TurnEncoder:
        """The encoder of a base model, by its name or path.

        Raises:
            ChatError: if there is no such model.
        """
        from persuade_env.llm.loading import load_model, load_tokenizer

        return cls(load_model(base), load_tokenizer(base))

    def __call__(self, dialogues: Sequence[Dialogue]) -> np.ndarray:
        """The encoding of each dialogue's last turn, (n, hidden size), rows of length 1."""
        return np.stack([self._encode(dialogue) for dialogue in dialogues])

    def _encode(self, dialogue: Dialogue) -> np.ndarray:
        import torch

        from persuade_env.llm.chat_template import encode_chat

        ids = encode_chat(self._tokenizer, encoder_messages(dialogue))
        with torch.inference_mode():
            if self._prefixes is not None:
                _, hidden = self._prefixes.prefill([ids], len(ids))
            else:
                inputs = torch.tensor([ids], device=self._model.device)
                output = self._model(inputs, output_hidden_states=True, use_cache=False)
                hidden = output.hidden_states[self._depth][:, -1]
            encoded: np.ndarray = hidden[0].double().cpu().numpy()
        return encoded / np.linalg.norm(encoded)

    def _mean_state(self, text: str) -> np.ndarray:
        import torch

        token_ids = self._tokenizer(sanitize(text), add_special_tokens=False)["input_ids"]
        # The first token's hidden state is an attention sink without content, so a fixed token
        # takes that place and is left out of the mean.
        ids = torch.tensor([self._tokenizer.eos_token_id, *token_ids])
        with torch.inference_mode():
            if self._cpu_llama is not None:
                hidden = self._cpu_llama.hidden_states(ids)
            else:
                inputs = ids[None].to(self._model.device)
                output = self._model(inputs, output_hidden_states=True, use_cache=False)
                hidden = output.hidden_states[self._depth][0]
            states: np.ndarray = hidden[1:].double().cpu().numpy()
        mean: np.ndarray = states.mean(axis=0) if token_ids else np.zeros(hidden.shape[1])
        mean.setflags(write=False)  # it is shared by all callers
        return mean

"""What a language model makes of a persuader's turn, as numbers: the mind's ear.

A chat model of this size can't say how far a turn would move somebody, but it hears much of it:
on scenarios that it was not fitted to, a linear map of its hidden states at the end of the
persuader's turn foresees the recorded steps far better than similarities of static
embeddings do (`docs/user-models.md`). It hears the words alone: no attitude, decision or tone of an
earlier turn, so that a dialogue which went well does not move by itself.

The same model, reading a text without anything around it, says what it is about: the mean of its
tokens' hidden states. Two such means point much the same way whatever the texts say;
`user_models.learned.semantic_embedding` takes away what they share.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from persuade_env.dialogue import Dialogue, PersuaderTurn, Scenario
from persuade_env.llm.builtin_model import EMBEDDED
from persuade_env.llm.sanitize import sanitize
from persuade_env.protocols import Message
from persuade_env.text.normalize import one_line

if TYPE_CHECKING:
    from persuade_env.llm.generation.cpu_llama import Llama
    from persuade_env.llm.generation.prefix_cache import PrefixCache

EMPTY_RESPONSE = "(says nothing)"
"""What the persuadee hears when the persuader's response is empty."""

MAX_RESPONSE_BYTES = 1200
"""Bytes of a response that are listened to, some 200 words. Nobody hears out a speech of
ten thousand letters, and it must not push everything else out of a model's context."""

ENCODER_DEPTH = 0.5
"""Share of the model's layers that it listens with. Of SmolLM2-135M's 30, those about the middle
foresaw steps best; the last ones are busy with the next token."""

_REMEMBERED = 4096
"""Texts whose mean hidden states are kept; of SmolLM2-135M 5 kB each."""


def clean_response(response: str) -> str:
    """What reaches a learned user of a response: one line, not too long, silence as such."""
    spoken = one_line(response).encode()[:MAX_RESPONSE_BYTES].decode(errors="ignore")
    return spoken or EMPTY_RESPONSE


def situation(scenario: Scenario) -> list[str]:
    """What a learned user is told of itself before anything else, line by line."""
    lines = [
        f"You are {scenario.persuadee}, talking with {scenario.persuader}.",
        one_line(scenario.background),
        f"{scenario.persuader}'s aim: {one_line(scenario.goal)}.",
    ]
    if persona := scenario.persona:
        lines.append(f"You are {', '.join(persona.traits)}. Stubborn: {persona.stubbornness:.1f}.")
    return lines


def encoder_messages(dialogue: Dialogue) -> list[Message]:
    """The dialogue as the ear reads it: who the persuadee is and what was said."""
    scenario = dialogue.scenario
    lines = situation(scenario)
    if persona := scenario.persona:
        lines += [
            f"You worry: {one_line(concern.text)} It would help: {one_line(concern.settled_by)}. "
            f"It would hurt: {one_line(concern.worsened_by)}."
            for concern in persona.concerns
        ]
    messages: list[Message] = [{"role": "system", "content": "\n".join(lines)}]
    for turn in dialogue.turns:
        role = "user" if isinstance(turn, PersuaderTurn) else "assistant"
        messages.append({"role": role, "content": clean_response(turn.response)})
    return messages


class TurnEncoder:
    """Hidden states of a language model that isn't fine-tuned, at the end of a persuader's turn.

    Each dialogue is read alone and in pieces that its token ids alone decide, so what is heard
    does not depend on what else is heard beside it, nor on what was heard before.

    Args:
        model: any causal language model; a Llama-like one on a CPU reads what it knows only once.
        max_prefix_bytes: memory for what was read; by default 256 MiB in bf16, 512 in fp32.
    """

    def __init__(self, model: Any, tokenizer: Any, *, max_prefix_bytes: int | None = None) -> None:
        from persuade_env.llm.backends.transformers import reply_mark
        from persuade_env.llm.generation.cpu_llama import Llama
        from persuade_env.llm.generation.prefix_cache import PrefixCache

        self._tokenizer = tokenizer
        self.meaning = lru_cache(_REMEMBERED)(self._meaning)
        """The mean of the hidden states of a text's tokens, (hidden size,); 0 of an empty one."""
        self._depth = max(
            1, round(ENCODER_DEPTH * model.config.get_text_config().num_hidden_layers)
        )
        self._model: Any = None
        self._listening: Llama | None = None
        self._prefixes: PrefixCache | None = None
        if Llama.supports(model):
            self._listening, mark = Llama(model, self._depth), reply_mark(tokenizer)
            if max_prefix_bytes is None:
                max_prefix_bytes = 128 * 2**20 * model.dtype.itemsize
            self._prefixes = PrefixCache(self._listening, mark, max_bytes=max_prefix_bytes)
        else:
            self._model = model.eval()

    @classmethod
    def load(cls, base: str = EMBEDDED) -> TurnEncoder:
        """The ear that `base` gives.

        Raises:
            ChatError: if there is no such model.
        """
        from persuade_env.llm.loading import load_model, load_tokenizer

        return cls(load_model(base), load_tokenizer(base))

    def __call__(self, dialogues: Sequence[Dialogue]) -> np.ndarray:
        """What is heard at the end of each dialogue, (n, hidden size), rows of length 1."""
        return np.stack([self._hear(dialogue) for dialogue in dialogues])

    def _hear(self, dialogue: Dialogue) -> np.ndarray:
        import torch

        from persuade_env.llm.backends.transformers import encode_chat

        ids = encode_chat(self._tokenizer, encoder_messages(dialogue))
        with torch.inference_mode():
            if self._prefixes is not None:
                _, hidden = self._prefixes.prefill([ids], len(ids))
            else:
                inputs = torch.tensor([ids], device=self._model.device)
                found = self._model(inputs, output_hidden_states=True, use_cache=False)
                hidden = found.hidden_states[self._depth][:, -1]
            heard: np.ndarray = hidden[0].double().cpu().numpy()
        return heard / np.linalg.norm(heard)

    def _meaning(self, text: str) -> np.ndarray:
        import torch

        words = self._tokenizer(sanitize(text), add_special_tokens=False)["input_ids"]
        # Whatever a text begins with attracts attention and not meaning, so it begins with this.
        ids = torch.tensor([self._tokenizer.eos_token_id, *words])
        with torch.inference_mode():
            if self._listening is not None:
                hidden = self._listening.hidden(ids)
            else:
                inputs = ids[None].to(self._model.device)
                found = self._model(inputs, output_hidden_states=True, use_cache=False)
                hidden = found.hidden_states[self._depth][0]
            states: np.ndarray = hidden[1:].double().cpu().numpy()
        mean: np.ndarray = states.mean(axis=0) if words else np.zeros(hidden.shape[1])
        mean.setflags(write=False)  # it is remembered
        return mean

"""Loads causal language models and tokenizers, and merges LoRA adapters into the weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from persuade_env.errors import ChatError
from persuade_env.llm.builtin_model import EMBEDDED, resolve
from persuade_env.llm.precision import generation_dtype


def load_tokenizer(model: str = EMBEDDED) -> PreTrainedTokenizerBase:
    """The tokenizer of a model, with padding on the left, which generation needs.

    Raises:
        ChatError: if there is no such model.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(resolve(model), padding_side="left")
    except (OSError, ValueError) as error:
        raise ChatError(f"cannot load the tokenizer of {model!r}: {error}") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    model: str = EMBEDDED, *, dtype: torch.dtype | None = None, device: str | None = None
) -> PreTrainedModel:
    """Loads a causal language model.

    Args:
        model: `embedded`, a Hugging Face id, or a path.
        dtype: `generation_dtype` by default.
        device: the GPU by default if there is one, else the CPU.

    Raises:
        ChatError: if there is no such model.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            resolve(model), dtype=dtype or generation_dtype(), attn_implementation="sdpa"
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise ChatError(f"cannot load the model {model!r}: {error}") from error
    return cast(PreTrainedModel, loaded.to(device))


def load_merged(
    model: str = EMBEDDED,
    adapters: Sequence[str | Path] = (),
    *,
    dtype: torch.dtype | None = None,
    device: str | None = None,
) -> PreTrainedModel:
    """Loads a model and merges LoRA adapters into its weights, one after the other.

    Args:
        model: `embedded`, a Hugging Face id, or a path.
        adapters: folders of LoRA adapters.
        dtype: of the merged weights; `generation_dtype` by default.
        device: the GPU by default if there is one, else the CPU.

    Raises:
        ChatError: if the model or an adapter can't be loaded.
    """
    loaded = load_model(model, dtype=dtype, device=device)
    if not adapters:
        return loaded
    from peft import PeftModel

    # Merged in fp32, because bf16 rounds small updates away.
    merged = loaded.float()
    for adapter in adapters:
        if not (Path(adapter) / "adapter_config.json").exists():
            raise ChatError(f"no LoRA adapter in {adapter}: it has no adapter_config.json")
        try:
            merged = PeftModel.from_pretrained(merged, str(adapter)).merge_and_unload()
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise ChatError(
                f"cannot load the adapter {str(adapter)!r}: {error}; if it is damaged, delete its "
                "folder to have it trained anew"
            ) from error
    return merged.to(dtype or generation_dtype())

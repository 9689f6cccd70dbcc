"""Loads chat models by spec string, for command lines and configurations."""

from __future__ import annotations

from functools import lru_cache

from persuade_env.errors import ChatError
from persuade_env.llm.builtin_model import EMBEDDED
from persuade_env.protocols import ChatModel


@lru_cache(maxsize=2)
def chat_from_spec(spec: str = EMBEDDED) -> ChatModel:
    """The chat model that `spec` names.

    >>> chat_from_spec("http://localhost:8000/v1")
    Traceback (most recent call last):
    persuade_env.errors.ChatError: name the server's model after a #: http://localhost:8000/v1#MODEL

    Args:
        spec: `embedded`, a Hugging Face id or path, or `URL#MODEL` for an OpenAI-compatible
            server, e.g. `http://localhost:8000/v1#llama-3`.

    Raises:
        ChatError: if there is no such model, or the extra that it needs is not installed.
    """
    if spec.startswith(("http://", "https://")):
        url, _, model = spec.partition("#")
        if not model:
            raise ChatError(f"name the server's model after a #: {url}#MODEL")
        try:
            from persuade_env.llm.backends.openai_http import HttpChat
        except ModuleNotFoundError as error:
            raise _missing("http", error) from error
        return HttpChat(url, model)
    try:
        from persuade_env.llm.backends.transformers import load_chat
    except ModuleNotFoundError as error:
        raise _missing("train", error) from error
    return load_chat(spec or EMBEDDED)


def _missing(extra: str, error: ModuleNotFoundError) -> ChatError:
    return ChatError(f"{error.name} is not installed: pip install 'persuade-env[{extra}]'")

"""Renders chats to token ids by a tokenizer's chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from persuade_env.llm.sanitize import sanitize
from persuade_env.protocols import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_chat(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, reply_follows: bool = True
) -> list[int]:
    """Token ids of a chat with sanitized contents.

    Args:
        tokenizer: with a chat template.
        messages: of the chat.
        reply_follows: append the template's generation prompt, after which a reply begins.
    """
    clean = [
        {"role": message["role"], "content": sanitize(message["content"])} for message in messages
    ]
    text = tokenizer.apply_chat_template(clean, tokenize=False, add_generation_prompt=reply_follows)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def generation_prompt_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The token ids of a chat template's generation prompt; empty for templates without one."""
    chat: list[Message] = [{"role": "user", "content": "."}]
    whole = encode_chat(tokenizer, chat)
    return whole[len(encode_chat(tokenizer, chat, reply_follows=False)) :]

"""Sanitizes text from a model or a person before it enters a prompt.

A chat template delimits messages with control tokens. Text that spells out such a token could end
its own message and start a forged one (prompt injection), so the spelling is broken up, for every
backend and template.
"""

from __future__ import annotations

import re
import unicodedata

# ChatML `<|im_end|>`, Llama 3 `<|eot_id|>`, Gemma `<end_of_turn>`, Mistral and Llama 2
# `[INST]`, `<<SYS>>`, sentencepiece `</s>`; broken by a space after the first character.
_CONTROL = re.compile(
    r"<(?=\|)|<(?=/?s>)|<(?=<SYS>>)|<(?=</SYS>>)|<(?=(?:start|end)_of_turn>)|<(?=(?:bos|eos|pad|unk)>)"
    r"|\[(?=/?INST\])|\[(?=/?(?:AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT)\])",
    re.IGNORECASE,
)


def sanitize(text: str) -> str:
    """The text with control tokens broken up and invisible characters removed.

    Idempotent, and the identity on text that contains neither.

    >>> sanitize("Fine.<|im_end|>")
    'Fine.< |im_end|>'
    """
    # Format and control characters (zero-width joiners, bidi overrides, tags) can hide a
    # token from the pattern above or text from a reader; line breaks and tabs are kept.
    visible = "".join(
        char
        for char in text
        if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs")
    )
    return _CONTROL.sub(lambda match: f"{match.group()} ", visible)

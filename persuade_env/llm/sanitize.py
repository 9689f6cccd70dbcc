"""Sanitizes text from a model or a person before it enters a prompt.

A chat template delimits messages with control tokens. Text that spells out such a token could end
its own message and start a forged one (prompt injection), so the spelling is broken up, for every
backend and template.
"""

from __future__ import annotations

import re

from persuade_env.text.normalize import visible

# Whatever looks like one is broken by a space after its first character, since each family has its
# own: ChatML `<|im_end|>`, Llama 3 `<|eot_id|>`, DeepSeek `<｜User｜>`, Gemma `<end_of_turn>`,
# Llama 2 and Mistral `[INST]`, `<<SYS>>`, sentencepiece `</s>`, EXAONE `[|endofturn|]`, BERT
# `[SEP]`, code models `<file_sep>`.
_CONTROL = re.compile(
    r"<(?=[|｜])|<(?=/?\w[\w.:-]{0,60}>)|<(?=</?SYS>>)|\[(?=\|)"
    r"|\[(?=/?(?:INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT|CLS|SEP|g?MASK|PAD|UNK)\])",
    re.IGNORECASE,
)


def sanitize(text: str) -> str:
    """The text with control tokens broken up and invisible characters removed.

    Idempotent, and the identity on text that contains neither.

    >>> sanitize("Fine.<|im_end|>")
    'Fine.< |im_end|>'
    """
    return _CONTROL.sub(lambda match: f"{match.group()} ", visible(text))

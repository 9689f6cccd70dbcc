"""Which parameters of the chat-completions protocol a server takes, learned from its refusals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from persuade_env.protocols import Message

_OPTIONAL = ("seed", "top_p", "temperature")
"""Parameters that can be left out, in the order in which they are."""
_SYSTEM = re.compile(r"\bsystem\b.{0,40}\b(role|message|prompt)|\brole\b.{0,40}\bsystem\b", re.I)


@dataclass(frozen=True)
class ServerParameters:
    """What a server takes, as far as is known.

    >>> learned = ServerParameters().learned("Unsupported parameter: 'seed'", {"seed": 1})
    >>> learned.dropped
    frozenset({'seed'})
    """

    tokens_name: str = "max_tokens"
    """The name of the limit on new tokens; some models want `max_completion_tokens`."""
    dropped: frozenset[str] = frozenset()
    """Parameters that it refuses."""
    system_role: bool = True
    """False where the system prompt has to stand in the first user message."""

    def body(self, model: str, messages: Sequence[Message], options: Mapping[str, Any]) -> Any:
        """The body of a request.

        Args:
            model: the server's name of it.
            messages: the chat.
            options: `max_tokens`, and those that a server may refuse.
        """
        named = {self.tokens_name if k == "max_tokens" else k: v for k, v in options.items()}
        return {
            "model": model,
            "messages": list(messages) if self.system_role else _without_system(messages),
            **{key: value for key, value in named.items() if key not in self.dropped},
        }

    def learned(self, reason: str, body: Mapping[str, Any]) -> ServerParameters | None:
        """What is known after a refusal; None if it names nothing that could be changed.

        Args:
            reason: the server's words.
            body: what it refused.
        """
        if "max_tokens" in body and "max_completion_tokens" in reason:
            return replace(self, tokens_name="max_completion_tokens")
        for name in _OPTIONAL:
            if name in body and re.search(rf"\b{name}\b", reason):
                return replace(self, dropped=self.dropped | {name})
        has_system = any(message["role"] == "system" for message in body["messages"])
        if has_system and _SYSTEM.search(reason):
            return replace(self, system_role=False)
        return None


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """The chat with its system prompt at the beginning of the first user message."""
    system = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
    others = [m for m in messages if m["role"] != "system"]
    if not system:
        return others
    if not others or others[0]["role"] != "user":
        return [{"role": "user", "content": system}, *others]
    return [{"role": "user", "content": f"{system}\n\n{others[0]['content']}"}, *others[1:]]

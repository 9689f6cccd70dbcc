"""One error type per boundary.

Each carries a `kind`, a short stable name. It is what `info["error_kind"]` and the
reports show, so a run can count failures without parsing messages.
"""

from __future__ import annotations


class PersuadeError(Exception):
    """Base of all errors that this suite raises on purpose; the message says what to do."""

    kind: str = "error"


class ScenarioError(PersuadeError):
    """A scenario file, or a record in it, is not what its format demands."""

    kind = "scenario"


class ConfigError(PersuadeError):
    """Settings that don't exist or don't fit."""

    kind = "config"


class SpecError(PersuadeError):
    """A spec (of a user model, persuader, judge, backend) that can't be read."""

    kind = "spec"


class UnknownNameError(PersuadeError):
    """A name (agent, user model, preset, format, scenario) that nothing answers to."""

    kind = "unknown_name"

    def __init__(self, what: str, name: str, known: list[str] | tuple[str, ...]) -> None:
        choices = ", ".join(known) if known else "none"
        super().__init__(f"unknown {what} {name!r}; known: {choices}")


class ChatError(PersuadeError):
    """A language model, local or remote, gave no usable answer."""

    kind = "chat"


class ChatUnavailableError(ChatError):
    """A server that is down, too slow or too busy, also after the retries."""

    kind = "chat_unavailable"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ChatRejectedError(ChatError):
    """A server that refuses the request: a wrong key or model, too long a prompt."""

    kind = "chat_rejected"


class UserModelError(PersuadeError):
    """A user model could not answer, also after its one repair."""

    kind = "user_model"


class PersuaderError(PersuadeError):
    """A persuader could not produce a turn."""

    kind = "persuader"


class MalformedTurnError(PersuaderError):
    """A persuader's text does not follow the intent-to-strategy format."""

    kind = "malformed_turn"


class JudgeError(PersuadeError):
    """A judge gave no verdict."""

    kind = "judge"


class RunError(PersuadeError):
    """A run directory cannot be used: in use, of another configuration, or incomplete."""

    kind = "run"

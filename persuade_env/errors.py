"""Exceptions, one type for each boundary of the suite.

Each has a `kind`, a short stable name that appears in `info["error_kind"]` and in reports, so a
run can count failures without parsing messages.
"""

from __future__ import annotations


class PersuadeError(Exception):
    """Base of all exceptions that this suite raises on purpose; the message says what to do.

    >>> issubclass(JudgeError, PersuadeError), JudgeError.kind
    (True, 'judge')
    """

    kind: str = "error"


class ScenarioError(PersuadeError):
    """A scenario file, or a record in it, does not conform to its format."""

    kind = "scenario"


class ConfigError(PersuadeError):
    """A setting does not exist or has an invalid value."""

    kind = "config"


class OutdatedEnvironmentError(PersuadeError):
    """An environment's id is of a version that no longer exists."""

    kind = "outdated_environment"


class SpecError(PersuadeError):
    """A spec (of a user model, persuader, judge or backend) can't be parsed."""

    kind = "spec"


class UnknownNameError(PersuadeError):
    """A name (of an agent, user model, preset, format or scenario) is not registered.

    >>> raise UnknownNameError("split", "dev", ["train", "test"])
    Traceback (most recent call last):
    persuade_env.errors.UnknownNameError: unknown split 'dev'; known: train, test
    """

    kind = "unknown_name"

    def __init__(self, what: str, name: str, known: list[str] | tuple[str, ...]) -> None:
        choices = ", ".join(known) if known else "none"
        super().__init__(f"unknown {what} {name!r}; known: {choices}")


class ChatError(PersuadeError):
    """A language model, local or remote, gave no usable answer."""

    kind = "chat"


class ChatUnavailableError(ChatError):
    """A server is down, too slow or too busy, also after the retries.

    >>> ChatUnavailableError("busy", retry_after=2.0).retry_after
    2.0
    """

    kind = "chat_unavailable"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ChatRejectedError(ChatError):
    """A server refuses the request: a wrong key or model, too long a prompt.

    >>> ChatRejectedError("no such model", status=404).status
    404
    """

    kind = "chat_rejected"

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class UserModelError(PersuadeError):
    """A user model could not answer, also after its one retry."""

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
    """A run folder cannot be used: locked, of another configuration, or incomplete."""

    kind = "run"

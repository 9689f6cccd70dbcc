"""Reads the answer of a server with the OpenAI chat-completions protocol, whatever is in it.

An answer without words for the other side is an error that says what to change, never silence:
reasoning that used up the tokens, a refusal, a content filter, a tool call.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, Field, ValidationError

from persuade_env.errors import ChatError, ChatRejectedError, ChatUnavailableError
from persuade_env.protocols import Completion, StopReason
from persuade_env.text.normalize import one_line, replace_surrogates

RETRIED_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""HTTP statuses that a later attempt may not meet."""
_MAX_REASON = 200
_THINKING = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)


class _Part(BaseModel):
    type: str = "text"
    text: str


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


_TokenCount = Annotated[int, Field(ge=0, le=2**53)]  # as large as JSON's numbers are exact


class _Usage(BaseModel):
    prompt_tokens: _TokenCount | None = None
    completion_tokens: _TokenCount | None = None


class _Answer(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


def read_answer(server: str, body: bytes) -> Completion:
    """The completion in the body of a successful response.

    Args:
        server: the URL to name in errors.
        body: as sent, decompressed.

    Raises:
        ChatUnavailableError: if it carries an error that may pass.
        ChatRejectedError: if it carries another error, or the model or a filter refuses.
        ChatError: if it holds no words to say.
    """
    data = _parse(server, body)
    if isinstance(data, dict) and data.get("error"):
        status = _status(data["error"])
        raise_for_status(server, status if status >= 400 else 500, reason(body))
    if isinstance(data, dict) and "choices" in data and not data["choices"]:
        raise ChatUnavailableError(f"{server} answered something else than a completion: no choice")
    try:
        answer = _Answer.model_validate(data)
    except (ValidationError, RecursionError) as error:
        raise ChatError(f"{server} answered something else than a completion") from error
    choice, usage = answer.choices[0], answer.usage or _Usage()
    return Completion(
        text=replace_surrogates(_words(server, choice)),
        stop_reason=StopReason.LENGTH if choice.finish_reason == "length" else StopReason.STOP,
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
    )


def raise_for_status(
    server: str, status: int, why: str, retry_after: float | None = None
) -> NoReturn:
    """Raises what an HTTP status stands for.

    Raises:
        ChatUnavailableError: if a later attempt may succeed.
        ChatRejectedError: if it won't.
    """
    if status in RETRIED_STATUSES:
        raise ChatUnavailableError(f"{server} answered {status}: {why}", retry_after=retry_after)
    raise ChatRejectedError(f"{server} rejected the request ({status}): {why}", status)


def reason(body: bytes) -> str:
    """A server's error message, in one line and shortened; empty where there is none."""
    text = body[:100_000].decode("utf-8", errors="replace")
    try:
        error = json.loads(text)["error"]
        text = str((error.get("message") or "") if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return one_line(replace_surrogates(text))[:_MAX_REASON]


def without_reasoning(text: str) -> str | None:
    """The text without a reasoning model's private thoughts; None if these never end.

    >>> without_reasoning("<think>He is tired.</think>Would Sunday suit you?")
    'Would Sunday suit you?'
    >>> without_reasoning("<think>He is tired. I could") is None
    True
    """
    spoken, start, thinking = "", 0, False
    for tag in _THINKING.finditer(text):
        if not tag[1]:
            spoken += "" if thinking else text[start : tag.start()]
            thinking = True
            continue
        if not thinking:
            # Some chat templates open the thoughts themselves, so that only their end is sent.
            spoken = ""
        start, thinking = tag.end(), False
    return None if thinking else (spoken + text[start:]).strip()


def _parse(server: str, body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ChatError(f"{server} answered something else than a completion") from error


def _status(error: Any) -> int:
    code = error.get("code", error.get("status")) if isinstance(error, dict) else None
    if isinstance(code, str) and re.fullmatch(r"[0-9]{3}", code):
        return int(code)
    return code if isinstance(code, int) else 0


def _words(server: str, choice: _Choice) -> str:
    message, cut_off = choice.message, choice.finish_reason == "length"
    if choice.finish_reason == "content_filter":
        raise ChatRejectedError(f"{server}: a content filter withheld the answer")
    content = message.content
    if isinstance(content, list):
        content = "".join(part.text for part in content if part.type == "text")
    words = None if content is None else without_reasoning(content)
    if words is None or (not words and cut_off):
        if message.refusal:
            raise ChatRejectedError(f"{server}: the model refused: {message.refusal[:_MAX_REASON]}")
        if cut_off:
            raise ChatError(
                f"{server}: the model spent all its tokens on reasoning; raise max_reply_tokens, "
                "or turn its reasoning off"
            )
        if message.tool_calls:
            raise ChatError(f"{server}: the model called a tool instead of answering")
        raise ChatError(f"{server}: the answer has no words (content is empty)")
    return words

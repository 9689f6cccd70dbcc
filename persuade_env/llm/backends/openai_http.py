"""A chat model behind any server that speaks the OpenAI chat-completions protocol."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import tenacity

from persuade_env.errors import ChatError, ChatRejectedError, ChatUnavailableError
from persuade_env.llm.sanitize import sanitize
from persuade_env.protocols import Completion, Message, StopReason

API_KEY_VARIABLES = ("PERSUADE_ENV_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key, in this order."""

_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_LONGEST_WAIT = 60.0


class HttpChat:
    """Chat completions from a server, `max_concurrent` requests at a time.

    Time-outs, refused connections and the statuses that mean "later" are tried again with
    random exponential back-off, or after the server's own `Retry-After`. What then still
    fails is an error in its own `Completion`; only if all of a batch fails is it raised.

    Args:
        base_url: up to and without `/chat/completions`, e.g. `http://localhost:8000/v1`.
        model: the name that the server knows it by.
        api_key: sent as a bearer token; from the environment unless given, never logged.
        timeout: seconds for one attempt.
        max_tries: attempts per request, the first included.
        backoff: seconds that the first pause is drawn up to; doubles each time.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        max_tries: int = 4,
        max_concurrent: int = 8,
        backoff: float = 1.0,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ChatError(
                f"expected a server's URL such as http://host:8000/v1, got {base_url!r}"
            )
        self.model = model
        # For messages: without user name and password, should the URL hold any.
        self._shown = f"{parts.scheme}://{parts.hostname}" + (
            f":{parts.port}" if parts.port else ""
        )
        key = api_key or next((os.environ[n] for n in API_KEY_VARIABLES if os.environ.get(n)), None)
        self._client = httpx.Client(
            base_url=base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=timeout,
        )
        self._threads = max_concurrent
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ChatUnavailableError),
            stop=tenacity.stop_after_attempt(max_tries),
            wait=_wait(backoff),
            reraise=True,
        )

    def __repr__(self) -> str:
        return f"HttpChat({self._shown!r}, {self.model!r})"

    def generate(
        self,
        prompts: Sequence[Sequence[Message]],
        seeds: Sequence[int],
        *,
        max_reply_tokens: int,
        temperature: float = 0.8,
        top_p: float = 0.95,
    ) -> list[Completion]:
        """See `ChatModel.generate`. The seed is passed on; few servers keep its promise."""
        if len(prompts) != len(seeds):
            raise ValueError(f"{len(prompts)} prompts but {len(seeds)} seeds")
        if not prompts:
            return []
        bodies = [
            {
                "model": self.model,
                "messages": [
                    {"role": one["role"], "content": sanitize(one["content"])} for one in prompt
                ],
                "max_tokens": max_reply_tokens,
                "temperature": temperature,
                "top_p": top_p,
                "seed": seed % 2**31,
            }
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        with ThreadPoolExecutor(min(self._threads, len(bodies))) as threads:
            completions = list(threads.map(self._complete, bodies))
        errors = [one.error for one in completions if one.error is not None]
        if len(errors) == len(completions):
            raise errors[0]
        return completions

    def _complete(self, body: dict[str, Any]) -> Completion:
        try:
            # A copy per request: the object keeps statistics and is shared by the threads.
            return self._retrying.copy()(self._request, body)
        except ChatError as error:
            return Completion("", StopReason.STOP, 0, 0, error=error)

    def _request(self, body: dict[str, Any]) -> Completion:
        try:
            response = self._client.post("chat/completions", json=body)
        except httpx.TimeoutException as error:
            raise ChatUnavailableError(f"{self._shown} did not answer in time") from error
        except httpx.HTTPError as error:
            raise ChatUnavailableError(f"cannot reach {self._shown}: {error}") from error
        if response.status_code in _RETRIED:
            raise ChatUnavailableError(
                f"{self._shown} answered {response.status_code}: {_reason(response)}",
                retry_after=_seconds(response.headers.get("Retry-After")),
            )
        if response.is_error:
            raise ChatRejectedError(
                f"{self._shown} rejected the request ({response.status_code}): {_reason(response)}"
            )
        return self._read(response)

    def _read(self, response: httpx.Response) -> Completion:
        try:
            data = response.json()
            choice = data["choices"][0]
            text = choice["message"]["content"] or ""
            usage = data.get("usage") or {}
            stop = StopReason.LENGTH if choice.get("finish_reason") == "length" else StopReason.STOP
            return Completion(
                text=str(text).strip(),
                stop_reason=stop,
                prompt_tokens=int(usage.get("prompt_tokens") or 0),
                completion_tokens=int(usage.get("completion_tokens") or 0),
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise ChatError(f"{self._shown} answered something else than a completion") from error


def _wait(backoff: float) -> Any:
    random = tenacity.wait_random_exponential(multiplier=backoff, max=_LONGEST_WAIT)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = getattr(error, "retry_after", None)
        return random(state) if asked is None else min(asked, _LONGEST_WAIT)

    return wait


def _seconds(header: str | None) -> float | None:
    """`Retry-After` where it is a number of seconds; its date form is not worth the code."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None


def _reason(response: httpx.Response) -> str:
    """The server's own words, short."""
    try:
        error = response.json()["error"]
        text = error["message"] if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError):
        text = response.text
    return " ".join(text.split())[:200] or response.reason_phrase

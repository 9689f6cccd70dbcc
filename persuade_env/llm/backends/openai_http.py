"""A chat backend for servers with the OpenAI chat-completions protocol."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import tenacity

from persuade_env.errors import ChatError, ChatRejectedError, ChatUnavailableError
from persuade_env.llm.backends.openai_parameters import ServerParameters
from persuade_env.llm.backends.openai_reply import raise_for_status, read_answer, reason
from persuade_env.llm.sanitize import sanitize
from persuade_env.protocols import Completion, Message, StopReason

API_KEY_VARIABLES = ("PERSUADE_ENV_API_KEY", "OPENAI_API_KEY")
"""Environment variables that are read for the API key, in this order."""

PROXY_VARIABLES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
"""Environment variables that name a proxy, in capital or small letters."""

_log = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 4 * 2**20
"""Of one answer, decompressed."""
_MAX_WAIT = 60.0


class HttpChat:
    """Requests chat completions from a server, up to `max_concurrent` at a time.

    Time-outs, refused connections and temporary error statuses are retried with random exponential
    backoff, or after the server's `Retry-After`. A request that still fails gives a `Completion`
    with an error, also where all of a batch fail: what failed costs its own dialogue alone. A
    parameter that the server refuses by name is left out, or renamed, from then on.

    >>> HttpChat("http://localhost:8000/v1", "llama-3")
    HttpChat('http://localhost:8000', 'llama-3')

    Args:
        base_url: without `/chat/completions`, e.g. `http://localhost:8000/v1`.
        model: the server's name of the model.
        api_key: sent as a bearer token; read from the environment by default, never logged.
        timeout: seconds for one attempt, from its start to the last byte of its answer.
        max_tries: attempts per request, the first included.
        max_concurrent: requests at a time.
        backoff: upper bound of the first random wait in seconds; doubles with each attempt.
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
        self.model = model
        self._public_url = _public_url(base_url)
        key = _checked_key(api_key, "api_key") or next(
            filter(None, (_checked_key(os.environ.get(n), n) for n in API_KEY_VARIABLES)), ""
        )
        try:
            self._client = httpx.Client(
                base_url=base_url.rstrip("/") + "/",
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=timeout,
            )
        except (httpx.InvalidURL, ValueError, ImportError) as error:  # of the proxy, or its package
            raise ChatError(f"the proxy in {_proxy_variables()} can't be used: {error}") from error
        self._parameters = ServerParameters()
        self._timeout = timeout
        self._threads = max_concurrent
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ChatUnavailableError),
            stop=tenacity.stop_after_attempt(max_tries),
            wait=_wait(backoff),
            reraise=True,
        )

    def __repr__(self) -> str:
        return f"HttpChat({self._public_url!r}, {self.model!r})"

    def generate(
        self,
        prompts: Sequence[Sequence[Message]],
        seeds: Sequence[int],
        *,
        max_reply_tokens: int,
        temperature: float = 0.8,
        top_p: float = 0.95,
    ) -> list[Completion]:
        """See `ChatModel.generate`. The seed is sent, but few servers are reproducible by it."""
        if len(prompts) != len(seeds):
            raise ValueError(f"{len(prompts)} prompts but {len(seeds)} seeds")
        if not prompts:
            return []
        chats: list[list[Message]] = [
            [{"role": one["role"], "content": sanitize(one["content"])} for one in prompt]
            for prompt in prompts
        ]
        options = [
            {
                "max_tokens": max_reply_tokens,
                "temperature": temperature,
                "top_p": top_p,
                "seed": seed % 2**31,
            }
            for seed in seeds
        ]
        with ThreadPoolExecutor(min(self._threads, len(chats))) as threads:
            return list(threads.map(self._complete, chats, options))

    def _complete(self, messages: list[Message], options: dict[str, Any]) -> Completion:
        try:
            # A copy per request, because the object has state and the threads share it.
            return self._retrying.copy()(self._adapted, messages, options)
        except ChatError as error:
            return Completion("", StopReason.STOP, 0, 0, error=error)

    def _adapted(self, messages: list[Message], options: dict[str, Any]) -> Completion:
        """The completion, with what the server takes; what it refuses is remembered."""
        while True:
            known = self._parameters
            body = known.body(self.model, messages, options)
            try:
                return self._request(body)
            except ChatRejectedError as error:
                learned = known.learned(str(error), body) if error.status in (400, 422) else None
                if learned is None:
                    raise
                # Another thread may have learned the same, or something else, in the meantime.
                if self._parameters is known:
                    self._parameters = learned
                    _log.warning("%s; from now on it is asked otherwise: %s", error, learned)

    def _request(self, body: dict[str, Any]) -> Completion:
        began = time.monotonic()
        try:
            with self._client.stream("POST", "chat/completions", json=body) as response:
                data = self._receive(response, began)
        except httpx.TimeoutException as error:
            raise ChatUnavailableError(f"{self._public_url} did not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ChatUnavailableError(f"cannot reach {self._public_url}: {error}") from error
        if response.is_error:
            raise_for_status(
                self._public_url,
                response.status_code,
                reason(data) or response.reason_phrase,
                _seconds(response.headers.get("Retry-After")),
            )
        return read_answer(self._public_url, data)

    def _receive(self, response: httpx.Response, began: float) -> bytes:
        """The body, if it is neither too long nor too slow: httpx limits single reads alone."""
        data = bytearray()
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > MAX_ANSWER_BYTES:
                raise ChatError(
                    f"{self._public_url} answered with more than {MAX_ANSWER_BYTES} bytes"
                )
            if time.monotonic() - began > self._timeout:
                raise ChatUnavailableError(f"{self._public_url} did not answer in time")
        return bytes(data)


def _public_url(base_url: str) -> str:
    """Scheme, host and port, for messages: no user name and no password.

    Raises:
        ChatError: if it is no server's URL.
    """
    try:
        parts = urlsplit(base_url)
        port = f":{parts.port}" if parts.port else ""
        httpx.URL(base_url).host.encode("idna")  # as the system's resolver does it, but now
    except (ValueError, httpx.InvalidURL) as error:
        raise ChatError(f"no server's URL such as http://host:8000/v1: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        shown = re.sub(r"//.*@", "//", base_url)
        raise ChatError(f"expected a server's URL such as http://host:8000/v1, got {shown!r}")
    return f"{parts.scheme}://{parts.hostname}{port}"


def _proxy_variables() -> str:
    """The environment variables that name a proxy."""
    names = [name for name in os.environ if name.upper() in PROXY_VARIABLES and os.environ[name]]
    return " or ".join(names) or "the environment"


def _checked_key(key: str | None, source: str) -> str:
    """The key without white space around it; a line break at its end is a common slip."""
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ChatError(f"{source} holds characters that no key has, such as curly quotes")
    return key


def _wait(backoff: float) -> Any:
    random = tenacity.wait_random_exponential(multiplier=backoff, max=_MAX_WAIT)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        retry_after = getattr(error, "retry_after", None)
        return random(state) if retry_after is None else min(retry_after, _MAX_WAIT)

    return wait


def _seconds(header: str | None) -> float | None:
    """The value of a `Retry-After` header in seconds; its date form is ignored."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None

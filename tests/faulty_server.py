"""A local OpenAI-compatible server that goes wrong by a seed, at a given rate.

What it says is a function of a request's messages, and how it goes wrong of its seed, the request
and the attempt. So two runs against two of them differ by nothing but the faults.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LATE_SECONDS = 2.5
"""How late a late answer is; clients of it wait less."""

PASSING = ("drop", "torn", "late", "429", "500", "503", "error in 200", "no choices")
"""Faults after which a client should try again."""
FINAL = ("400", "401", "half json", "html", "wrong types", "reasoning only", "bad parts", "filter")
"""Faults that end the request, and so its dialogue."""
HARMLESS = ("parts", "thoughts first", "empty")
"""Odd answers whose words can be had: a list of parts, private thoughts before them; for an empty
one the caller asks once more."""
FAULTS = (*PASSING, *FINAL, *HARMLESS)


class FaultyServer:
    """Answers chat completions; use it as a context manager.

    Args:
        seed: of the faults.
        rate: share of attempts that go wrong, 0 to 1.
    """

    def __init__(self, seed: int = 0, rate: float = 0.0) -> None:
        self.seed, self.rate = seed, rate
        self.counts: Counter[str] = Counter()
        self.faults: dict[str, list[tuple[str, str]]] = defaultdict(list)
        """By system prompt (a dialogue has its own): request and fault, in order of time."""
        self.asked: set[str] = set()
        """System prompts of all requests."""
        self._attempts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._http = _Listener(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> FaultyServer:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def fault(self, body: Mapping[str, Any]) -> str:
        """How this attempt goes wrong; empty if it doesn't. Recorded."""
        request = hashlib.blake2b(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with self._lock:
            self.asked.add(body["messages"][0]["content"])
            attempt = self._attempts[request]
            self._attempts[request] += 1
            fault = ""
            if _draw(self.seed, request, attempt, "whether") < self.rate:
                # Late ones are rarer: each costs the time-out of its batch.
                kinds = [kind for kind in FAULTS if kind != "late" or request[0] in "0123"]
                fault = kinds[int(_draw(self.seed, request, attempt, "how") * len(kinds))]
                self.faults[body["messages"][0]["content"]].append((request, fault))
            self.counts[fault or "fine"] += 1
        return fault


class _Listener(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients that hang up are part of the play."""


def words(messages: list[dict[str, str]]) -> str:
    """What is said after these messages: a piece of the system prompt, another at each turn."""
    pieces = [piece for line in messages[0]["content"].split("\n") for piece in line.split("; ")]
    place = _draw(json.dumps(messages)) * len(pieces)
    return f"{pieces[int(place)].removesuffix('.')}, as I said {len(messages)} turns ago."


def _draw(*parts: object) -> float:
    """A number from 0 to 1 that is a function of the parts."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _answer(content: Any, finish: str = "stop") -> bytes:
    choice = {"message": {"content": content}, "finish_reason": finish}
    # Of an empty answer no token counts, so that a repaired dialogue equals an undisturbed one.
    usage = {"prompt_tokens": 9, "completion_tokens": 4} if content != "" else None
    return json.dumps({"choices": [choice], "usage": usage}).encode()


def _body(fault: str, said: str) -> tuple[int, bytes]:
    """Status and body of an answer with a fault; of a fine one where there is none."""
    if fault.isdecimal():
        return int(fault), json.dumps({"error": {"message": f"fault {fault}"}}).encode()
    half = len(said) // 2
    bodies = {
        "error in 200": b'{"error": {"code": 429, "message": "fault 429"}}',
        "no choices": b'{"choices": null}',
        "half json": _answer(said)[:-30],
        "html": b"<html><body>502 Bad Gateway</body></html>",
        "wrong types": b'{"choices": [{"message": {"content": 3}}], "usage": "many"}',
        "reasoning only": _answer("<think>He is tired. I co", "length"),
        "bad parts": _answer([{"type": "text", "text": {"value": said}}]),
        "filter": _answer(said, "content_filter"),
        "parts": _answer([{"type": "text", "text": part} for part in (said[:half], said[half:])]),
        "thoughts first": _answer(f"<think>He is tired.</think>\n{said}"),
        "empty": _answer(""),
    }
    return 200, bodies.get(fault, _answer(said))


def _handler(server: FaultyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fault = server.fault(body)
            if fault == "drop":
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                return
            if fault == "late":
                time.sleep(LATE_SECONDS)
            status, data = _body(fault, words(body["messages"]))
            with contextlib.suppress(OSError):  # a client that was kept waiting is gone
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "0")
                self.send_header("Content-Length", str(len(data) + 9 * (fault == "torn")))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    return Handler

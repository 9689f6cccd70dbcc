"""The HTTP backend against a local server."""

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader
from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.errors import (
    ChatError,
    ChatRejectedError,
    ChatUnavailableError,
    SpecError,
)
from persuade_env.llm.backends.openai_http import HttpChat
from persuade_env.protocols import StopReason
from persuade_env.registry import load_chat_model
from tests.helpers import felt, scenario
from user_models.prompted import PromptedUser

ECHO = object()


class Server:
    """Gives the answers in `plan` for a prompt, one per attempt; echoes other prompts."""

    def __init__(self):
        self.plan = {}
        self.bodies = []
        self.headers = []
        self.attempts = defaultdict(int)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.bodies.append(body)
                outer.headers.append(dict(self.headers))
                prompt = body["messages"][-1]["content"]
                answers = outer.plan.get(prompt) or outer.plan.get("*") or [ECHO]
                number = min(outer.attempts[prompt], len(answers) - 1)
                outer.attempts[prompt] += 1
                status, data = outer.answer(answers[number], prompt)
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @staticmethod
    def answer(what, prompt):
        if isinstance(what, int):
            return what, json.dumps({"error": {"message": f"status {what}"}}).encode()
        if isinstance(what, bytes):
            return 200, what
        text = f"echo {prompt}" if what is ECHO else what
        choice = {"message": {"content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 5, "completion_tokens": 2}
        return 200, json.dumps({"choices": [choice], "usage": usage}).encode()


@pytest.fixture
def server():
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


def ask(chat, *prompts):
    messages = [[{"role": "user", "content": prompt}] for prompt in prompts]
    return chat.generate(messages, list(range(len(prompts))), max_reply_tokens=9)


def test_answers_come_in_order(server):
    chat = HttpChat(server.url, "m", max_concurrent=4)
    prompts = [f"p{number}" for number in range(12)]
    completions = ask(chat, *prompts)
    assert [completion.text for completion in completions] == [
        f"echo {prompt}" for prompt in prompts
    ]
    assert (completions[0].stop_reason, completions[0].prompt_tokens) == (StopReason.STOP, 5)
    assert server.bodies[0]["model"] == "m"
    assert server.bodies[0]["max_tokens"] == 9


@pytest.mark.parametrize("status", [429, 500, 503])
def test_later_means_again(server, status):
    server.plan["p"] = [status, status, ECHO]
    (completions,) = ask(HttpChat(server.url, "m", backoff=0.001), "p")
    assert completions.text == "echo p"
    assert server.attempts["p"] == 3


def test_it_gives_up_after_max_tries(server):
    server.plan["p"] = [500]
    with pytest.raises(ChatUnavailableError, match="status 500"):
        ask(HttpChat(server.url, "m", max_tries=3, backoff=0.001), "p")
    assert server.attempts["p"] == 3


def test_a_rejection_is_not_repeated(server):
    server.plan["p"] = [400]
    with pytest.raises(ChatRejectedError, match="400"):
        ask(HttpChat(server.url, "m"), "p")
    assert server.attempts["p"] == 1


def test_one_failed_prompt_leaves_the_others_alone(server):
    server.plan["bad"] = [400]
    good, bad = ask(HttpChat(server.url, "m"), "good", "bad")
    assert good.text == "echo good"
    assert isinstance(bad.error, ChatRejectedError)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"choices": []}', b"[1]"])
def test_something_else_than_a_completion_is_a_typed_error(server, body):
    server.plan["p"] = [body]
    with pytest.raises(ChatError, match="something else"):
        ask(HttpChat(server.url, "m"), "p")


def test_a_server_that_is_down_or_too_slow(server):
    server.http.shutdown()
    with pytest.raises(ChatUnavailableError, match="in time"):
        ask(HttpChat(server.url, "m", timeout=0.05, max_tries=1), "p")
    server.http.server_close()
    with pytest.raises(ChatUnavailableError, match="cannot reach"):
        ask(HttpChat(server.url, "m", max_tries=1), "p")


def test_keys_are_sent_and_never_shown(server, monkeypatch):
    monkeypatch.setenv("PERSUADE_ENV_API_KEY", "sk-secret")
    chat = HttpChat(server.url, "m")
    server.plan["p"] = [401]
    with pytest.raises(ChatRejectedError) as caught:
        ask(chat, "p")
    assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in repr(chat) + str(caught.value)
    with pytest.raises(ChatRejectedError) as caught:
        ask(HttpChat(server.url.replace("127", "joe:pass@127"), "m"), "p")
    assert "pass" not in str(caught.value)


def test_control_tokens_are_sanitized_in_requests(server):
    ask(HttpChat(server.url, "m"), "hi<|im_end|>")
    assert server.bodies[0]["messages"][0]["content"] == "hi< |im_end|>"


def test_a_spec_names_url_and_model(server):
    assert isinstance(load_chat_model(f"{server.url}#m"), HttpChat)
    with pytest.raises(SpecError, match="#MODEL"):
        load_chat_model(server.url)


def opened():
    return Dialogue(scenario=scenario())


def test_a_malformed_turn_is_repaired_once(server):
    good = "Analysis: a\nStrategy: wait\nResponse: Come along."
    server.plan["*"] = ["no format", good]
    (reply,) = IntentToStrategyPersuader(HttpChat(server.url, "m")).act([opened()], [1])
    assert (reply.turn.response, reply.malformed) == ("Come along.", False)
    assert reply.usage.completion_tokens == 4
    assert len({body["seed"] for body in server.bodies}) == 2


def test_a_turn_that_stays_malformed_is_counted_and_hides_its_reasoning(server):
    server.plan["*"] = ["Analysis: she is weak"]
    (reply,) = IntentToStrategyPersuader(HttpChat(server.url, "m")).act([opened()], [1])
    assert (reply.turn.response, reply.malformed) == ("", True)
    assert len(server.bodies) == 2


def test_a_failed_call_is_the_turn_s_own_error(server):
    answered = opened().extended(PersuaderTurn(response="Hi.")).extended(felt(3, response="Why?"))
    server.plan["Why?"] = [400]
    server.plan["*"] = ["Analysis: a\nStrategy: b\nResponse: c"]
    persuader = IntentToStrategyPersuader(HttpChat(server.url, "m"))
    fine, failed = persuader.act([opened(), answered], [1, 2])
    assert fine.turn.response == "c"
    assert failed.error.kind == "chat_rejected"


def test_the_prompted_user_reads_state_and_words(server):
    dialogue = opened().extended(PersuaderTurn(response="I'll lend you a tent."))
    server.plan["*"] = ["5 continue, hopeful\nAnd who feeds the dog?"]
    (reply,) = PromptedUser(HttpChat(server.url, "m")).reply([dialogue], [3])
    turn = reply.turn
    assert (turn.attitude, turn.tone, turn.response) == (5.0, "hopeful", "And who feeds the dog?")


@pytest.mark.parametrize("text", ["I don't know.", "9 continue sad\nNo.", "2 accept sad\nYes.", ""])
def test_the_prompted_user_repairs_once_then_gives_a_typed_error(server, text):
    dialogue = opened().extended(PersuaderTurn(response="Hello."))
    server.plan["*"] = [text]
    (reply,) = PromptedUser(HttpChat(server.url, "m")).reply([dialogue], [3])
    assert reply.error.kind == "user_model"
    assert len(server.bodies) == 2

"""The HTTP backend against a local server."""

import contextlib
import json
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader
from agents.persuaders.prompted import PromptedPersuader
from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.errors import (
    ChatError,
    ChatRejectedError,
    ChatUnavailableError,
    SpecError,
)
from persuade_env.llm.backends.openai_http import MAX_ANSWER_BYTES, HttpChat
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
        self.drip = 0.0  # seconds between bytes
        self.refuses = None  # gives the reason to refuse a body, or nothing
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
                refusal = outer.refuses(body) if outer.refuses else ""
                status, data = outer.answer(answers[number], prompt)
                if refusal:
                    status, data = 400, json.dumps({"error": {"message": refusal}}).encode()
                if outer.drip:
                    data = data.ljust(40)
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "0")
                self.end_headers()
                for byte in data if outer.drip else ():
                    time.sleep(outer.drip)
                    with contextlib.suppress(OSError):  # the client has had enough
                        self.wfile.write(bytes([byte]))
                if not outer.drip:
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


def error_of(chat, prompt="p"):
    """The error of the one prompt that is asked."""
    (completion,) = ask(chat, prompt)
    assert completion.text == ""
    return completion.error


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
    error = error_of(HttpChat(server.url, "m", max_tries=3, backoff=0.001))
    assert isinstance(error, ChatUnavailableError)
    assert "status 500" in str(error)
    assert server.attempts["p"] == 3


def test_a_rejection_is_not_repeated(server):
    server.plan["p"] = [400]
    error = error_of(HttpChat(server.url, "m"))
    assert isinstance(error, ChatRejectedError)
    assert "400" in str(error)
    assert server.attempts["p"] == 1


def test_one_failed_prompt_leaves_the_others_alone(server):
    server.plan["bad"] = [400]
    good, bad = ask(HttpChat(server.url, "m"), "good", "bad")
    assert good.text == "echo good"
    assert isinstance(bad.error, ChatRejectedError)


def test_a_server_that_is_down_or_too_slow(server):
    server.http.shutdown()
    error = error_of(HttpChat(server.url, "m", timeout=0.05, max_tries=1))
    assert isinstance(error, ChatUnavailableError)
    assert "in time" in str(error)
    server.http.server_close()
    error = error_of(HttpChat(server.url, "m", max_tries=1))
    assert isinstance(error, ChatUnavailableError)
    assert "cannot reach" in str(error)


def test_an_answer_may_be_neither_too_long_nor_too_slow(server, monkeypatch):
    server.plan["long"] = [b"x" * (MAX_ANSWER_BYTES + 1)]
    error = error_of(HttpChat(server.url, "m"), "long")
    assert "more than 4194304 bytes" in str(error)
    assert server.attempts["long"] == 1
    # Each read of a dripping answer is in time; all of them together are not.
    server.drip = 0.05
    error = error_of(HttpChat(server.url, "m", timeout=0.3, max_tries=1), "drip")
    assert isinstance(error, ChatUnavailableError)
    assert "in time" in str(error)


def test_keys_are_sent_and_never_shown(server, monkeypatch):
    monkeypatch.setenv("PERSUADE_ENV_API_KEY", "sk-secret\n")
    chat = HttpChat(server.url, "m")
    server.plan["p"] = [401]
    error = error_of(chat)
    assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in repr(chat) + str(error)
    error = error_of(HttpChat(server.url.replace("127", "joe:pass@127"), "m"))
    assert isinstance(error, ChatRejectedError)
    assert "pass" not in str(error)
    monkeypatch.setenv("PERSUADE_ENV_API_KEY", "\u201csk-secret\u201d")
    with pytest.raises(ChatError, match="PERSUADE_ENV_API_KEY holds characters") as caught:
        HttpChat(server.url, "m")
    assert "sk-secret" not in str(caught.value)


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


@pytest.mark.parametrize(
    "text",
    [
        "5 Continue Hopeful\nAnd who feeds the dog?",
        "```\n5 continue hopeful\nAnd who feeds the dog?\n```",
        "**5 continue hopeful**\nAnd who feeds the dog?",
        "Agreement: 5, Decision: continue, Tone: hopeful\nAnd who feeds the dog?",
        "5/7 continue hopeful relieved\n**Bo:** And who feeds the dog?",
        "<think>He likes the tent.</think>\n5 continue hopeful\nBo: And who feeds the dog?",
    ],
)
def test_the_prompted_user_reads_what_servers_make_of_the_format(server, text):
    dialogue = opened().extended(PersuaderTurn(response="I'll lend you a tent."))
    server.plan["*"] = [text]
    (reply,) = PromptedUser(HttpChat(server.url, "m")).reply([dialogue], [3])
    turn = reply.turn
    assert (turn.attitude, turn.tone, turn.response) == (5.0, "hopeful", "And who feeds the dog?")


@pytest.mark.parametrize("make", [PromptedUser, PromptedPersuader, IntentToStrategyPersuader])
def test_one_refused_request_costs_one_dialogue(server, make):
    """The repair round asks the failed one alone; that it fails again is not everybody's error."""
    model = make(HttpChat(server.url, "m"))
    server.plan["*"] = ["5 continue hopeful\nAnalysis: a\nStrategy: wait\nResponse: Come along."]
    server.plan["7"] = [400]
    dialogues = [opened().extended(PersuaderTurn(response=str(number))) for number in range(8)]
    if make is PromptedUser:
        replies = model.reply(dialogues, list(range(8)))
    else:
        dialogues = [
            opened().extended(PersuaderTurn(response="Hi.")).extended(felt(3, response=str(number)))
            for number in range(8)
        ]
        replies = model.act(dialogues, list(range(8)))
    assert [reply.error is None for reply in replies] == [True] * 7 + [False]
    assert replies[7].error.kind == "chat_rejected"


def test_what_a_server_refuses_is_left_out_once_and_for_all(server):
    """Four refusals of four kinds, one after the other, and then no more of them."""

    def refuses(body):
        if "max_tokens" in body:
            return "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        if "seed" in body:
            return "extra field: seed"
        if "temperature" in body and "top_p" in body:
            return "`temperature` and `top_p` cannot both be specified for this model"
        if any(message["role"] == "system" for message in body["messages"]):
            return "System role not supported"
        return ""

    server.refuses = refuses
    chat = HttpChat(server.url, "m", max_concurrent=1)
    prompt = [{"role": "system", "content": "Be Bo."}, {"role": "user", "content": "Hi."}]
    for attempts in (5, 1):
        server.bodies.clear()
        (completion,) = chat.generate([prompt], [3], max_reply_tokens=9, temperature=0.5)
        assert completion.error is None
        assert len(server.bodies) == attempts
    assert server.bodies[-1] == {
        "model": "m",
        "messages": [{"role": "user", "content": "Be Bo.\n\nHi."}],
        "max_completion_tokens": 9,
        "temperature": 0.5,
    }


def test_many_requests_at_once_learn_the_same(server):
    server.refuses = lambda body: "unknown parameter 'seed'" if "seed" in body else ""
    completions = ask(HttpChat(server.url, "m", max_concurrent=8), *map(str, range(32)))
    assert not [completion for completion in completions if completion.error]


def test_a_refusal_that_names_no_parameter_of_ours_is_final(server):
    server.refuses = lambda body: "the system is in maintenance; temperature sensor failed"
    error = error_of(HttpChat(server.url, "m"))
    assert error.status == 400
    # "temperature" was named, so it was left out; then nothing was left to change.
    assert len(server.bodies) == 2

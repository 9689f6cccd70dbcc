"""What servers send for an answer: words, or an error that says what to change."""

import json

import pytest

from persuade_env.errors import ChatError, ChatRejectedError, ChatUnavailableError
from persuade_env.llm.backends.openai_reply import read_answer, reason
from persuade_env.protocols import StopReason


def answer(content, finish="stop", usage=None, **message):
    choice = {"message": {"content": content, **message}, "finish_reason": finish}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


def read(body):
    return read_answer("http://host", body)


def test_words_usage_and_stop():
    usage = {"prompt_tokens": 5, "completion_tokens": None, "details": {"cached": 1}}
    completion = read(answer(" Come along. ", "length", usage))
    assert completion.text == "Come along."
    assert completion.stop_reason is StopReason.LENGTH
    assert (completion.prompt_tokens, completion.completion_tokens) == (5, 0)
    assert read(answer("", "stop")).text == ""


def test_parts_are_joined_and_thoughts_dropped():
    parts = [{"type": "text", "text": "Come "}, {"type": "text", "text": "along."}]
    assert read(answer(parts)).text == "Come along."
    assert read(answer("<think>He is tired.\n</think>\n\nCome along.")).text == "Come along."
    assert read(answer("He is tired.</think>Come along.")).text == "Come along."


def test_half_a_surrogate_pair_is_replaced():
    body = b'{"choices": [{"message": {"content": "Fine \\ud83d"}}]}'
    assert read(body).text == "Fine \ufffd"


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (answer(None, "length"), ChatError, "reasoning; raise max_reply_tokens"),
        (answer("<think>He is tired. I co", "length"), ChatError, "raise max_reply_tokens"),
        (answer("<think>He is tired.", "stop"), ChatError, "no words"),
        (answer("", "length"), ChatError, "raise max_reply_tokens"),
        (answer(None, refusal="I can't help."), ChatRejectedError, "refused: I can't help."),
        (answer(None, "tool_calls", tool_calls=[{"id": "1"}]), ChatError, "called a tool"),
        (answer("Come", "content_filter"), ChatRejectedError, "content filter"),
        (answer(None), ChatError, "no words"),
        (answer([{"type": "text", "text": 3}]), ChatError, "something else"),
        (answer({"text": "x"}), ChatError, "something else"),
        (answer("x", usage={"prompt_tokens": "many"}), ChatError, "something else"),
        (b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 1e999}}',
         ChatError, "something else"),
        (b'{"usage": ' + b"1" * 10_000 + b"}", ChatError, "something else"),
        (b"[" * 100_000, ChatError, "something else"),
        (b"\xff\xfe", ChatError, "something else"),
        (b"<html>", ChatError, "something else"),
        (b"{}", ChatError, "something else"),
        (b"[1]", ChatError, "something else"),
        (b'{"choices": []}', ChatUnavailableError, "no choice"),
        (b'{"choices": null}', ChatUnavailableError, "no choice"),
        (b'{"error": {"code": 429, "message": "slow down"}}', ChatUnavailableError, "slow down"),
        (b'{"error": {"code": "429", "message": "slow"}}', ChatUnavailableError, "429: slow"),
        (b'{"error": {"code": 401, "message": "bad key"}}', ChatRejectedError, "bad key"),
        (b'{"error": "overloaded"}', ChatUnavailableError, "overloaded"),
    ],
)  # fmt: skip
def test_an_answer_without_words_is_an_error_that_says_why(body, kind, message):
    with pytest.raises(ChatError, match=message) as caught:
        read(body)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": {"message": null}}', ""),
        (b'{"error": {"message": {"a": 1}}}', "{'a': 1}"),
        (b'{"error": "down"}', "down"),
        (b"<html> Bad\ngateway", "<html> Bad gateway"),
        (b"", ""),
        (b'{"error": {"message": "\\ud83d"}}', "\ufffd"),
        (b"[" * 100_000, "[" * 200),
    ],
)
def test_the_reason_is_one_short_line_whatever_is_sent(body, expected):
    assert reason(body) == expected

"""What is learned from a server's refusals, and what is sent then."""

import pytest

from persuade_env.llm.backends.openai_parameters import ServerParameters

OPTIONS = {"max_tokens": 9, "temperature": 0.8, "top_p": 0.9, "seed": 3}
SYSTEM, HI, HELLO = (
    {"role": "system", "content": "Be Bo."},
    {"role": "user", "content": "Hi."},
    {"role": "assistant", "content": "Hello."},
)


NOTHING_KNOWN = ServerParameters()


def refused(reason, parameters=NOTHING_KNOWN):
    return parameters.learned(reason, parameters.body("m", [SYSTEM, HI], OPTIONS))


def test_everything_is_sent_as_long_as_nothing_is_refused():
    body = ServerParameters().body("m", [SYSTEM, HI], OPTIONS)
    assert body == {"model": "m", "messages": [SYSTEM, HI], **OPTIONS}


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Use 'max_completion_tokens' instead.", {"tokens_name": "max_completion_tokens"}),
        ("unknown field `seed`", {"dropped": frozenset({"seed"})}),
        ("temperature and top_p cannot both be set", {"dropped": frozenset({"top_p"})}),
        ("'temperature' does not support 0.8", {"dropped": frozenset({"temperature"})}),
        ("System role not supported", {"system_role": False}),
        ("role must be user or assistant, not system", {"system_role": False}),
    ],
)
def test_a_refusal_changes_what_it_names(reason, expected):
    assert refused(reason) == ServerParameters(**expected)


@pytest.mark.parametrize(
    "reason", ["context length exceeded", "content policy", "", "the word reseeding", "system down"]
)
def test_another_refusal_changes_nothing(reason):
    assert refused(reason) is None


def test_what_is_not_sent_is_not_learned_again():
    known = ServerParameters("max_completion_tokens", frozenset({"seed"}), system_role=False)
    for reason in ("max_completion_tokens", "seed", "system role"):
        assert refused(reason, known) is None


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([SYSTEM, HI, HELLO], [{"role": "user", "content": "Be Bo.\n\nHi."}, HELLO]),
        ([SYSTEM, HELLO], [{"role": "user", "content": "Be Bo."}, HELLO]),
        ([SYSTEM], [{"role": "user", "content": "Be Bo."}]),
        ([HI, HELLO], [HI, HELLO]),
    ],
)
def test_without_a_system_role_its_prompt_opens_the_first_user_message(messages, expected):
    assert ServerParameters(system_role=False).body("m", messages, {})["messages"] == expected

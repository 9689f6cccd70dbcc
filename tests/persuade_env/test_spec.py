import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persuade_env.errors import SpecError
from persuade_env.spec import Spec, hide_password, parse, parse_chat_model


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("concerns", {"type": "concerns"}),
        ("learned=runs/x/user-model", {"type": "learned", "path": "runs/x/user-model"}),
        ("learned=r/a+b@c", {"type": "learned", "path": "r/a+b@c"}),
        ("learned=f@deterministic", {"type": "learned", "path": "f", "deterministic": True}),
        ("checkpoint=f", {"type": "checkpoint", "path": "f"}),
        ("prompted=org/model", {"type": "prompted", "model": "org/model"}),
        ("prompted=http://h:1/v1#m", {"type": "prompted", "model": "http://h:1/v1#m"}),
        ("mine=3", {"type": "mine", "argument": "3"}),
        ("a.b:C", {"type": "a.b:C"}),
        (
            "learned+concerns@0.25",
            {"type": "population", "members": ["learned", "concerns"], "quantile": 0.25},
        ),
        (
            "population=concerns+learned=f@deterministic",
            {"type": "population", "members": ["concerns", "learned=f@deterministic"]},
        ),
        ("best-of-4", {"type": "best-of-n", "n": 4}),
        (
            "best-of-2=checkpoint=f@learned=g",
            {"type": "best-of-n", "n": 2, "agent": "checkpoint=f", "user_model": "learned=g"},
        ),
        ("http://h/v1#m", {"type": "openai", "base_url": "http://h/v1", "model": "m"}),
    ],
)
def test_a_text_says_what_its_table_says(text, table):
    spec = parse(text)
    assert spec == parse(table) == parse(spec)
    assert parse(json.loads(json.dumps(spec.to_json()))) == spec
    assert hash(spec) == hash(parse(table))


@pytest.mark.parametrize("text", ["concerns", "learned=f@deterministic", "learned+concerns@0.25"])
def test_a_spec_is_shown_as_it_is_typed(text):
    assert str(parse(text)) == text


def test_options_can_be_lists_and_other_specs():
    spec = parse({"type": "vllm", "urls": ["http://a", "http://b"], "chat": {"type": "echo"}})
    assert spec.options["urls"] == ("http://a", "http://b")
    assert spec.options["chat"] == Spec.of("echo")


def test_a_chat_model_is_a_server_a_folder_or_an_id():
    assert parse_chat_model("http://h/v1#m").type == "openai"
    assert parse_chat_model("org/a=b+c").options == {"model": "org/a=b+c"}
    assert parse_chat_model("") == Spec.of("transformers")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("population=", "needs members"),
        ("population=a@low", "no quantile"),
        ("best-of-4=naive", "best-of-4=AGENT@USER_MODEL"),
        ("http://h/v1", "after a #"),
        ({"path": "x"}, "needs a type"),
        ({"type": "x", "y": {1, 2}}, "option y"),
    ],
)
def test_what_can_t_be_read_says_what_can(spec, message):
    with pytest.raises(SpecError, match=message):
        parse(spec)


def test_passwords_are_never_shown():
    assert "s3cret" not in str(parse("http://ann:s3cret@host/v1#m"))
    assert "s3cret" not in str(parse("prompted=https://ann:s3cret@host/v1#m"))
    assert hide_password("https://me:secret@host:8000/v1#m") == "https://host:8000/v1#m"
    assert hide_password("learned=runs/a@b.json") == "learned=runs/a@b.json"
    # It is still there for the client.
    assert "s3cret" in parse("http://ann:s3cret@host/v1#m").options["base_url"]


@given(st.text(max_size=40))
def test_any_text_is_a_spec_or_a_typed_error(text):
    try:
        spec = parse(text)
    except SpecError:
        return
    assert parse(spec.to_json()) == spec

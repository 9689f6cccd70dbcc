"""Loading and validation of scenario files."""

import json

import pytest

from persuade_env.dialogue import ScenarioRecord
from persuade_env.errors import ScenarioError, UnknownNameError
from persuade_env.scenarios import check, load, load_corpus
from persuade_env.scenarios.io import MAX_LINE_CHARACTERS
from tests.helpers import scenario

LINE = load_corpus()[0].model_dump(mode="json")


def write(path, *records):
    path.write_text("\n".join(json.dumps(record) for record in records) + "\n", encoding="utf-8")
    return path


def errors_of(path, format="persuade_env"):
    with pytest.raises(ScenarioError) as caught:
        load(path, format)
    return str(caught.value)


def without(key):
    return {k: v for k, v in LINE.items() if k != key}


def test_a_written_file_is_read_back(tmp_path):
    records = load_corpus()[:5]
    path = write(tmp_path / "some.jsonl", *(record.model_dump(mode="json") for record in records))
    assert load(path) == records


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (without("goal"), "line 2: field goal: missing"),
        ({**LINE, "id": "x", "mood": 1}, "line 2: field mood: not a field of this format"),
        ({**LINE, "id": "x", "background": 7}, "field background: expected: Input should be a"),
        ({**LINE, "id": "x", "strategies": ["a", "a"]}, "candidate strategies must be unique"),
        (LINE, f"field id: '{LINE['id']}' is taken by line 1"),
        (
            {**LINE, "id": "x", "persona": {**LINE["persona"], "stubbornness": 2}},
            "persona.stubbornness: expected: Input should be less than or equal to 1; found 2",
        ),
    ],
)
def test_an_error_names_file_line_field_and_what_was_expected(tmp_path, record, expected):
    path = write(tmp_path / "broken.jsonl", LINE, record)
    message = errors_of(path)
    assert message.startswith(str(path))
    assert expected in message


PERSONA = LINE["persona"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({**LINE, "id": "../x"}, "field id: an id has no slashes"),
        ({**LINE, "id": "a\\b"}, "field id: an id has no slashes"),
        ({**LINE, "id": "x\ny"}, "no control characters"),
        ({**LINE, "id": "x\x1b[2J"}, "no control characters"),
        ({**LINE, "id": ".x"}, "no dot in front"),
        ({**LINE, "id": "x" * 1000}, "field id: expected: String should have at most 200"),
        ({**LINE, "persona": {**PERSONA, "stubbornness": True}}, "stubbornness: expected: Input"),
        ({**LINE, "persona": {**PERSONA, "stubbornness": "0.3"}}, "stubbornness: expected: Input"),
        ({**LINE, "persona": {**PERSONA, "initial_attitude": "3"}}, "initial_attitude: expected"),
        ({**LINE, "x" * 9000: 1}, "field xxxx"),
        ({**LINE, "x\x1b[2Jy": 1}, r"field x\x1b[2Jy: not a field"),
        ({**LINE, "\x1b" * 9000: 1}, r"field \x1b\x1b"),
    ],
)
def test_what_a_file_must_not_hold_is_refused_in_a_short_printable_line(tmp_path, record, expected):
    _, errors = check(write(tmp_path / "broken.jsonl", record))
    assert len(errors) == 1
    assert expected in errors[0]
    assert len(errors[0]) < 560 + len(str(tmp_path))
    assert errors[0].isprintable()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"id": "a", "id": "b"}', "line 1: field id: stands twice in one object"),
        ("[" * 100_000, "line 1: nested too deeply"),
        ('{"id": ' + "1" * 10_000 + "}", "line 1: "),
        ('{"id": "' + "x" * (MAX_LINE_CHARACTERS + 1) + '"}', "longer than 4194304 characters"),
        ('{"id": "a"', "line 1: not JSON: "),
        ("[1]", "line 1: field record: expected: Input should be a valid dictionary"),
    ],
)
def test_a_line_that_is_no_clear_record_is_one_error(tmp_path, line, expected):
    path = tmp_path / "broken.jsonl"
    path.write_text(line + "\n" + json.dumps(LINE) + "\n")
    records, errors = check(path)
    assert [record.id for record in records] == [LINE["id"]]
    assert len(errors) == 1
    assert expected in errors[0]
    assert len(errors[0]) < 560 + len(str(tmp_path))


def test_every_broken_line_is_reported_and_the_good_ones_are_kept(tmp_path):
    path = write(tmp_path / "broken.jsonl", without("goal"), LINE, without("id"))
    records, errors = check(path)
    assert [record.id for record in records] == [LINE["id"]]
    assert len(errors) == 2


def test_turns_out_of_order_and_turns_after_the_end_are_errors(tmp_path):
    turns = LINE["dialogues"][0]["turns"]
    for broken in (turns[:1] + turns[:1], [*turns, turns[0]]):
        dialogue = {**LINE["dialogues"][0], "turns": broken}
        message = errors_of(write(tmp_path / "b.jsonl", {**LINE, "dialogues": [dialogue]}))
        assert "turn" in message


def test_files_that_are_no_scenario_files(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert "holds no scenario" in errors_of(empty)
    assert "no such file" in errors_of(tmp_path / "missing.jsonl")
    assert "is a folder" in errors_of(tmp_path)
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes('{"id": "é"}'.encode("latin-1"))
    assert "not UTF-8" in errors_of(latin)
    torn = tmp_path / "torn.jsonl"
    torn.write_text('{"id": ')
    assert "line 1" in errors_of(torn)


def test_an_unknown_format_lists_the_formats(tmp_path):
    with pytest.raises(UnknownNameError, match=r"persuade_env, daily_persuasion, ctompersu"):
        check(tmp_path, "csv")


def test_an_unknown_split_lists_the_splits():
    with pytest.raises(UnknownNameError, match="train, validation, test"):
        load_corpus("holdout")


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_line_feeds_end_a_line_and_a_byte_order_mark_is_no_text(tmp_path, mark, newline):
    goals = ["persuade Bo to come\u2028along", "a\u2029b", "c\u0085d"]
    records = [
        ScenarioRecord(**{**dict(scenario(f"leisure-{i}")), "goal": goal})
        for i, goal in enumerate(goals)
    ]
    lines = [json.dumps(r.model_dump(mode="json"), ensure_ascii=False) for r in records]
    path = tmp_path / "own.jsonl"
    path.write_bytes((mark + newline.join(lines) + newline).encode())
    assert load(path) == records

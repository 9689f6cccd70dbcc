"""Loading and validation of scenario files."""

import json

import pytest

from persuade_env.errors import ScenarioError, UnknownNameError
from persuade_env.scenarios import check, load, load_corpus

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

"""The readers of public data sets, on the public files."""

import json

import pytest

from persuade_env.scenarios import check
from tests.helpers import SHARED_DATA

needs_data = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="public data is not here")


def find(pattern: str):
    paths = sorted(SHARED_DATA.rglob(pattern))
    assert paths, pattern
    return paths


@needs_data
def test_persuasion_for_good_with_donations_and_traits():
    folder = find("full_dialog.csv")[0].parent
    records, errors = check(folder, "persuasion_for_good")
    assert errors == []
    assert len(records) == 820
    donations = [record.dialogues[0].outcome_label for record in records]
    assert sum(bool(donated) for donated in donations) / len(donations) == pytest.approx(
        0.54, abs=0.02
    )
    assert all(record.persona and record.persona.traits for record in records)
    # Concerns are not recorded, so they are the same for all and can't leak the outcome.
    assert len({record.persona.concerns for record in records if record.persona}) == 1
    assert {record.initial_attitude for record in records} == {4.0}


@needs_data
def test_ctompersu_loses_nothing():
    records, errors = [], []
    for path in find("*.json*"):
        text = path.read_text(encoding="utf-8")
        if '"preventive"' in text or '"generative"' in text:
            file_records, file_errors = check(path, "ctompersu")
            records += file_records
            errors += file_errors
    assert errors == []
    assert len(records) >= 400
    assert all(record.dialogues for record in records)


@needs_data
def test_daily_persuasion_keeps_every_session():
    paths = [p for p in find("*.json*") if '"session_1"' in p.read_text(encoding="utf-8")]
    assert paths
    for path in paths:
        records, errors = check(path, "daily_persuasion")
        assert errors == []
        assert records
        for record in records:
            assert record.strategies
            assert record.dialogues
            assert any(
                turn.strategy for dialogue in record.dialogues for turn in dialogue.turns[:1]
            )


def test_a_broken_record_is_named_and_the_rest_is_read(tmp_path):
    path = tmp_path / "daily.json"
    path.write_text(json.dumps([{"scenario": {}, "dialog": {}}]))
    records, errors = check(path, "daily_persuasion")
    assert records == []
    assert errors
    assert str(path) in errors[0]


PEOPLE = "B2,B4,B6,extrovert.x,age.x\nd1,0,0.0,3.0,30\nd1,1,{gift},{trait},{age}\n"


def donation(folder, gift="0.5", trait="4.2", age="50.0", more="", units='hello,d1,0\n"no",d1,1\n'):
    """A folder of PersuasionForGood with one dialogue."""
    people = PEOPLE.format(gift=gift, trait=trait, age=age) + more
    (folder / "full_info.csv").write_text(people, encoding="utf-8-sig")
    (folder / "full_dialog.csv").write_text("Unit,B2,B4\n" + units, encoding="utf-8-sig")
    return check(folder, "persuasion_for_good")


def test_a_donation_and_traits_are_read_behind_a_byte_order_mark(tmp_path):
    (record,), errors = donation(tmp_path)
    assert errors == []
    assert record.dialogues[0].outcome_label is True
    assert record.persona.traits == ("extrovert", "50 years old")
    (record,), _ = donation(tmp_path, gift="", trait="", age="")
    assert record.dialogues[0].outcome_label is False
    assert record.persona.traits == ("ordinary",)


@pytest.mark.parametrize(
    ("cells", "column", "found"),
    [
        ({"gift": "nan"}, "B6", "nan"),
        ({"gift": "-5"}, "B6", "-5"),
        ({"gift": "inf"}, "B6", "inf"),
        ({"gift": "much"}, "B6", "much"),
        ({"age": "nan"}, "age.x", "nan"),
        ({"age": "-1"}, "age.x", "-1"),
        ({"trait": "9"}, "extrovert.x", "9"),
    ],
)
def test_an_impossible_number_names_person_and_column(tmp_path, cells, column, found):
    records, errors = donation(tmp_path, **cells)
    assert records == []
    assert len(errors) == 1
    assert f"person 1 of 'd1': column {column}: expected a number from" in errors[0]
    assert f"found '{found}'" in errors[0]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"more": "d1,1,0,3,3\n"}, "full_info.csv: 'd1' has two rows for the person '1'"),
        ({"units": "x" * 140_000 + ",d1,0\n"}, "full_dialog.csv: after line 1: field larger than"),
        ({"units": "hello\n"}, "full_dialog.csv: line 2: too few columns"),
        ({"units": "hello,d1,2\n"}, "field B4: expected 0 or 1, found '2'"),
    ],
)
def test_a_damaged_table_is_one_error_with_its_place(tmp_path, broken, message):
    records, errors = donation(tmp_path, **broken)
    assert records == []
    assert len(errors) == 1
    assert message in errors[0]

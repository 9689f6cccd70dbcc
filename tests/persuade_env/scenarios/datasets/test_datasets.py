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

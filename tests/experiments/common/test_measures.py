"""Reports are written, read back and compared."""

import math

import pytest

from experiments.common.bootstrap import Estimate
from experiments.common.measures import (
    MEASURES_FILE,
    Measure,
    ReferenceReport,
    measures_table,
    read_measures,
    write_measures,
)
from experiments.common.storage import read_json, write_json
from persuade_env.errors import RunError


def test_a_report_is_read_back_as_it_was_written(tmp_path):
    measures = [
        Measure("dose", "half over none", Estimate(2.5, 2.0, 3.0), 12, "above 0", True),
        Measure("traits", "trait over seed", Estimate(0.1, math.nan, math.nan), 20, "at most 0.05"),
    ]
    assert read_measures(tmp_path) == []
    write_measures(measures, tmp_path, {"user_model": "learned"})
    first, second = read_measures(tmp_path)
    assert first == measures[0]
    assert second.estimate.value == 0.1
    assert math.isnan(second.estimate.low)
    assert second.passed is None
    (row, _) = read_json(tmp_path / MEASURES_FILE)["measures"]
    assert row["bar"] == "above 0"  # the key that earlier versions wrote


def test_a_folder_that_says_why_it_has_no_report_has_no_measures(tmp_path):
    write_json(tmp_path / MEASURES_FILE, {"measures": [], "why": "no persona"})
    assert read_measures(tmp_path) == []


def test_a_reference_report_is_a_column_and_what_it_lacks_is_empty(tmp_path):
    def measure_of(measure, value):
        return Measure("ends", measure, Estimate(value, value - 1, value + 1), 12)

    conditions = {"scenarios": "test", "limit": 12, "seed": 0}
    others = [measure_of("F1", 0.25), measure_of("more", 3.0)]
    write_measures(others, tmp_path / "a", {"user_model": "prompted", **conditions})
    reference = ReferenceReport.read(tmp_path / "a", conditions)
    own = [measure_of("F1", 0.5), measure_of("other", 7.0)]
    write_measures(own, tmp_path / "b", {"user_model": "learned"}, reference=reference)
    head, _, first, second = (tmp_path / "b" / "card.md").read_text().splitlines()
    assert head == "| test | measure | value | prompted | n | bar |  |"
    cells = [cell.strip() for cell in first.split("|")]
    assert cells[2:5] == ["F1", str(own[0].estimate), str(Estimate(0.25, -0.75, 1.25))]
    assert [cell.strip() for cell in second.split("|")][4] == ""
    assert len(measures_table(own, "learned", reference).columns) == 7
    with pytest.raises(RunError, match="no report in"):
        ReferenceReport.read(tmp_path / "c", conditions)
    with pytest.raises(RunError, match=r"'limit': 12.*'limit': 41"):
        ReferenceReport.read(tmp_path / "a", {**conditions, "limit": 41})

import math

from experiments.card import CARD, Measure, read_measures, write_card
from experiments.statistics import Estimate
from experiments.storage import write_json


def test_a_card_is_read_back_as_it_was_written(tmp_path):
    measures = [
        Measure("dose", "half over none", Estimate(2.5, 2.0, 3.0), 12, "above 0", True),
        Measure("traits", "trait over seed", Estimate(0.1, math.nan, math.nan), 20, "at most 0.05"),
    ]
    assert read_measures(tmp_path) == []
    write_card(measures, tmp_path, {"user_model": "learned"})
    first, second = read_measures(tmp_path)
    assert first == measures[0]
    assert second.estimate.value == 0.1
    assert math.isnan(second.estimate.low)
    assert second.passed is None


def test_a_folder_that_says_why_it_has_no_card_has_no_measures(tmp_path):
    write_json(tmp_path / CARD, {"measures": [], "why": "no persona"})
    assert read_measures(tmp_path) == []

"""Endings get their recorded frequencies."""

import numpy as np
import pytest

from user_models.learned.attitude_predictor import accept_refuse_probabilities
from user_models.learned.training.decision_model import scale_odds


def test_endings_are_as_frequent_as_recorded_where_possible():
    rng = np.random.default_rng(2)
    classes = ("accept", "continue", "refuse")
    attitudes = rng.uniform(1, 7, 600)
    scores = np.column_stack([attitudes - 4, np.full(600, 3.0), 4 - attitudes])
    for name, kind, times in (("accept", 0, 60), ("refuse", 1, 20)):
        shift = scale_odds(name, [name] * times, scores, attitudes, classes)
        shifted = scores + shift * (np.asarray(classes) == name)
        probabilities = accept_refuse_probabilities(shifted, attitudes, classes)[kind]
        assert probabilities.sum() == pytest.approx(times)
    # More, or fewer, than is possible: the largest shift allowed.
    assert scale_odds("accept", ["accept"] * 600, scores, attitudes, classes) == 2.0
    assert scale_odds("refuse", [], scores, attitudes, classes) == -2.0

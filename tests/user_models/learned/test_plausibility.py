"""A plausibility is a capped power of the odds."""

import math

import numpy as np
import pytest

from user_models.learned.plausibility import LinearTest, PlausibilityModel


def test_a_text_counts_in_full_from_log_odds_of_zero():
    test = LinearTest(weights=(2.0, 0.0), intercept=-1.0)
    for states, odds in (((3.0, 0.0), 1.0), ((0.0, 5.0), -1.0), ((-0.1, 0.0), -3.0)):
        plausibility = test(np.array(states))
        assert test.log_odds(np.array(states)) == pytest.approx(odds)
        assert plausibility == pytest.approx(math.exp(2 * min(0.0, odds)))
        both = PlausibilityModel(word_swaps=test, model_samples=test)
        assert both(np.array(states)) == pytest.approx(plausibility**2)
    assert test(np.zeros(2)) == PlausibilityModel()(np.ones(2)) == 1.0

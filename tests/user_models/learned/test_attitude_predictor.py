"""Decisions are drawn at rates that are possible at the attitude, and by the seed alone."""

import numpy as np
import pytest

from persuade_env.dialogue import Decision, Dialogue, PersuaderTurn
from persuade_env.text.embedding import Embedder
from tests.helpers import scenario
from user_models.learned.attitude_predictor import (
    MAX_REFUSING_ATTITUDE,
    MIN_ACCEPTING_ATTITUDE,
    AttitudePredictor,
)


class Constant(AttitudePredictor):
    """Moves every attitude by the same step."""

    value: float

    def steps(self, dialogues, words, encoder):
        return np.full(len(dialogues), self.value)


def predictor(value=0.0, accept=0.0, refuse=0.0):
    """With these log-odds of ending against going on, at any attitude."""
    return Constant(
        value=value,
        ending_classes=("accept", "continue", "refuse"),
        ending_weights=((0.0,) * 4,) * 3,
        ending_intercepts=(accept, 0.0, refuse),
    )


def asked(attitude):
    place = scenario(initial_attitude=attitude)
    return Dialogue(scenario=place, turns=(PersuaderTurn(response="I'd lend you a tent."),))


@pytest.mark.parametrize(
    ("attitude", "possible"),
    [
        (MAX_REFUSING_ATTITUDE, Decision.REFUSE),
        (MAX_REFUSING_ATTITUDE + 0.5, None),
        (MIN_ACCEPTING_ATTITUDE - 0.5, None),
        (MIN_ACCEPTING_ATTITUDE, Decision.ACCEPT),
    ],
)
def test_decisions_are_those_that_an_attitude_allows(attitude, possible):
    rates = predictor(accept=9.0, refuse=9.0).decision_probabilities(attitude, 0.0, 0.5, 2)
    assert sum(rates.values()) == pytest.approx(1.0)
    for decision in (Decision.ACCEPT, Decision.REFUSE):
        assert (rates[decision] > 0.4) == (decision == possible)


def test_the_attitude_stays_on_the_scale():
    up, down = predictor(2.0), predictor(-2.0)
    assert up.attitudes([asked(6.0), asked(3.0)], Embedder(), None) == [7.0, 5.0]
    assert down.attitudes([asked(2.0), asked(5.5)], Embedder(), None) == [1.0, 3.5]


def test_decisions_come_at_their_rates_and_again_by_the_same_seed():
    """Accepting has odds of 1 to 1 at an attitude that forbids refusing; the attitude is fixed."""
    dialogues, seeds = [asked(6.0)] * 2000, range(2000)
    drawn = predictor(accept=0.0, refuse=-9.0).predict(dialogues, seeds, Embedder(), None)
    share = np.mean([decision is Decision.ACCEPT for _, decision in drawn])
    assert share == pytest.approx(0.5, abs=0.05)
    assert {attitude for attitude, _ in drawn} == {6.0}
    again = predictor(accept=0.0, refuse=-9.0).predict(dialogues, seeds, Embedder(), None)
    assert again == drawn

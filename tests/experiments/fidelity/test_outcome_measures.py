"""Measures of outcomes on users of known quality."""

import numpy as np
import pytest

from experiments.fidelity.outcome_measures import calibration_error, outcome_section
from experiments.fidelity.probes.replay import ReplayedDialogue
from persuade_env.dialogue import Decision
from persuade_env.seeding import generator


def replays(attitude_of, n: int = 200) -> list[ReplayedDialogue]:
    """Dialogues after which `attitude_of` gives the user's attitude, by the person's outcome."""
    rng = np.random.default_rng(3)
    dialogues = []
    for number in range(n):
        label = bool(rng.random() < 0.55)
        attitude = attitude_of(label)
        decision = Decision.ACCEPT if attitude >= 5.5 else Decision.CONTINUE
        text = "I will give" if label else "I keep mine"
        dialogues.append(ReplayedDialogue(f"p-{number}", label, 4.0, attitude, decision, text))
    return dialogues


def measured(dialogues):
    section = outcome_section(dialogues, generator(0))
    return {measure.measure: measure for measure in section.measures}, section.reliability


def test_an_oracle_predicts_outcomes():
    measures, points = measured(replays(lambda label: 7.0 if label else 1.0))
    assert measures["AUC of the last attitude"].estimate.value == pytest.approx(1.0)
    assert measures["AUC of the last attitude"].passed is True
    assert measures["calibration error"].estimate.value == pytest.approx(0.0, abs=1e-9)
    assert measures["calibration error, recalibrated"].estimate.value < 0.02
    bias = measures["depth bias: rise of those who didn't"]
    assert bias.estimate.value == pytest.approx(-3.0)
    assert bias.passed is True
    assert measures["did it, where the model accepts"].estimate.value == pytest.approx(1.0)
    assert [(point.predicted, point.observed.value) for point in points] == [
        (0.0, 0.0),
        (1.0, 1.0),
    ]
    # The words tell it too.
    assert measures["AUC of the person's words"].estimate.value == pytest.approx(1.0)


def test_a_constant_user_and_one_who_agrees_with_everybody_predict_nothing():
    constant, _ = measured(replays(lambda label: 4.0))
    assert constant["AUC of the last attitude"].estimate.value == pytest.approx(0.5)
    assert constant["AUC of the last attitude"].passed is False
    assert constant["depth bias: rise of those who didn't"].passed is True

    dialogues = replays(lambda label: 7.0)
    agreeing, points = measured(dialogues)
    share = np.mean([dialogue.outcome_label for dialogue in dialogues])
    assert agreeing["AUC of the last attitude"].passed is False
    assert agreeing["calibration error"].estimate.value == pytest.approx(1 - share)
    assert agreeing["calibration error, recalibrated"].estimate.value < 0.05
    assert agreeing["depth bias: rise of those who didn't"].passed is False
    assert agreeing["accepts, model"].estimate.value == 1.0
    assert agreeing["did it, where the model accepts"].estimate.value == pytest.approx(share)
    assert len(points) == 1


def test_the_calibration_error_of_known_probabilities():
    predicted = np.asarray([0.05, 0.05, 0.95, 0.95])
    assert calibration_error(predicted, np.asarray([0.0, 0.0, 1.0, 1.0])) == pytest.approx(0.05)
    assert calibration_error(predicted, np.asarray([1.0, 1.0, 0.0, 0.0])) == pytest.approx(0.95)
    # Half are positive in a bin that predicts a half.
    assert calibration_error(np.full(4, 0.5), np.asarray([0.0, 1.0, 0.0, 1.0])) == 0.0
    assert calibration_error(np.asarray([1.0]), np.asarray([1.0])) == 0.0

"""A step is a linear map of the encoding, within bounds; it needs a persona with concerns."""

import numpy as np
import pytest

from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.errors import UserModelError
from persuade_env.text.embedding import Embedder
from tests.helpers import scenario
from user_models.learned.attitude_regressor import (
    FILE,
    AttitudeRegressor,
    read_attitude_regressor,
)

REGRESSOR = AttitudeRegressor(
    depth=2,
    weights=(1.0, -1.0),
    intercept=0.25,
    ending_classes=("accept", "continue"),
    ending_weights=((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
    ending_intercepts=(-5.0, 0.0),
)


def asked(persona=True):
    place = scenario()
    if not persona:
        place = place.model_copy(update={"persona": None})
    return Dialogue(scenario=place, turns=(PersuaderTurn(response="I'd lend you a tent."),))


class Encoder:
    """Two numbers for each dialogue, given beforehand."""

    def __init__(self, *rows):
        self.rows = np.asarray(rows)

    def __call__(self, dialogues):
        return self.rows[: len(dialogues)]


def test_steps_are_linear_and_bounded():
    steps = REGRESSOR.step(np.array([[1.0, 0.25], [3.0, 0.0], [0.0, 3.0]]))
    assert steps.tolist() == [1.0, 2.0, -2.0]


def test_attitudes_are_where_the_steps_lead():
    dialogue = asked()
    start = dialogue.attitude
    attitudes = REGRESSOR.attitudes([dialogue] * 2, Embedder(), Encoder([1.0, 0.25], [0.0, 9.0]))
    assert attitudes == [start + 1.0, max(1.0, start - 2.0)]
    (first, _), (second, _) = REGRESSOR.predict(
        [dialogue] * 2, [0, 1], Embedder(), Encoder([1.0, 0.25], [0.0, 9.0])
    )
    assert [first, second] == attitudes


def test_a_scenario_without_concerns_is_refused():
    with pytest.raises(UserModelError, match="persona with concerns"):
        REGRESSOR.steps([asked(persona=False)], Embedder(), Encoder([0.0, 0.0]))


def test_the_file_is_read_back(tmp_path):
    assert read_attitude_regressor(tmp_path) is None
    (tmp_path / FILE).write_text(REGRESSOR.model_dump_json())
    assert read_attitude_regressor(tmp_path) == REGRESSOR


@pytest.mark.parametrize("content", ["{}", "[1]", "{", ""])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(UserModelError, match=FILE):
        read_attitude_regressor(tmp_path)

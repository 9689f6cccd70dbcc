"""A packed row is read as its dialogues would be one by one, and what moves people is learned."""

import numpy as np
import pytest

from persuade_env.dialogue import (
    Decision,
    PersuadeeTurn,
    PersuaderTurn,
    RecordedDialogue,
    ScenarioRecord,
)
from persuade_env.llm.loading import load_merged, load_tokenizer
from persuade_env.llm.training.config import LoraSettings
from tests.helpers import scenario
from user_models.learned.attitude_regressor import ADAPTER
from user_models.learned.encoder import TurnEncoder
from user_models.learned.training.attitude_regressor import (
    calibrate,
    fit_attitude_regressor,
)
from user_models.learned.training.config import AttitudeRegressorSettings
from user_models.learned.training.examples import until


def record_of(index, *moves):
    """A scenario whose person is moved up by "yes" and down by "no"."""
    place, turns = scenario(), []
    attitude = place.initial_attitude
    for move in moves:
        attitude += move
        word = "yes" if move > 0 else "no"
        turns.append(PersuaderTurn(response=f"{word} {word} {word}"))
        turns.append(PersuadeeTurn(attitude=attitude, response="I see."))
    return ScenarioRecord.model_validate(
        {
            **place.model_dump(),
            "id": f"toy-{index:03}",
            "dialogues": [RecordedDialogue(id="d", turns=tuple(turns)).model_dump()],
        }
    )


def test_what_moves_people_is_learned(tiny, tmp_path):
    """Yes moves up and no down: on scenarios that were held out the steps are foreseen."""
    rng = np.random.default_rng(0)
    records = [record_of(i, *rng.choice([-0.5, 0.5], size=4)) for i in range(16)]
    settings = AttitudeRegressorSettings(
        epochs=12,
        held_out_share=0.25,
        lora=LoraSettings(learning_rate=1e-2, rank=8, batch_size=2),
    )
    told = []
    regressor = fit_attitude_regressor(
        records, tmp_path, 5, base=tiny, settings=settings, progress=told.append
    )
    assert sum(told) == 12 * 12
    assert regressor.fit["turns"] == 16
    assert regressor.fit["step_correlation"] > 0.9
    tokenizer = load_tokenizer(tiny)
    encoder = TurnEncoder(load_merged(tiny, [tmp_path / ADAPTER]), tokenizer, depth=regressor.depth)
    up, down = (record_of(99, move) for move in (0.5, -0.5))
    steps = regressor.step(
        encoder([until(record.dialogue(record.dialogues[0]), 1) for record in (up, down)])
    )
    assert steps[0] > 0.2
    assert steps[1] < -0.2
    empty = until(up.dialogue(up.dialogues[0]), 1, PersuaderTurn(response=""))
    assert regressor.step(encoder([empty]))[0] < steps[0]


def test_the_same_seed_gives_the_same_regressor(tiny, tmp_path):
    records = [record_of(index, 0.5, -0.5) for index in range(4)]
    settings = AttitudeRegressorSettings(epochs=1, lora=LoraSettings(batch_size=1, max_steps=2))
    first, second, other = (
        fit_attitude_regressor(records, tmp_path / name, seed, base=tiny, settings=settings)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == second
    assert first.weights != other.weights


def test_two_scenarios_are_enough(tiny, tmp_path):
    """One is held out, and no turn of another is left as a negative example."""
    records = [record_of(0, 0.5, -0.5), record_of(1, 0.5)]
    settings = AttitudeRegressorSettings(
        negative_share=1.0, epochs=3, lora=LoraSettings(batch_size=1)
    )
    regressor = fit_attitude_regressor(records, tmp_path, 1, base=tiny, settings=settings)
    assert regressor.fit["held_out_scenarios"] == 1


def test_more_is_held_out_until_every_decision_occurs(tiny, tmp_path):
    """As decisions are fitted there, a user could never decide otherwise."""
    records = [record_of(index, 0.5, -0.5) for index in range(8)]
    last = records[5].dialogues[0]
    ending = last.turns[-1].model_copy(update={"decision": Decision.REFUSE})
    refusing = last.model_copy(update={"turns": (*last.turns[:-1], ending)})
    records[5] = records[5].model_copy(update={"dialogues": (refusing,)})
    settings = AttitudeRegressorSettings(
        held_out_share=0.1, epochs=1, lora=LoraSettings(batch_size=1, max_steps=1)
    )
    held_out = {
        seed: fit_attitude_regressor(
            records, tmp_path / str(seed), seed, base=tiny, settings=settings
        )
        for seed in range(4)
    }
    for regressor in held_out.values():
        scenarios = regressor.fit["held_out_scenarios"]
        assert 1 <= scenarios <= 4
        assert scenarios == 4 or "refuse" in regressor.ending_classes


def test_steps_are_stretched_to_the_recorded_mean_and_spread():
    """Predictions that are half as wide and too high by 0.3 become the recorded steps."""
    records = [record_of(index, 0.5, -0.5, 1.0) for index in range(3)]
    recorded = np.array([0.5, -0.5, 1.0] * 3)

    def encoder(dialogues):
        assert len(dialogues) == len(recorded)
        return (recorded / 2 + 0.3)[:, None]

    regressor = calibrate(2, (1.0,), 0.0, records, encoder)
    np.testing.assert_allclose(regressor.step(encoder(range(9))), recorded)
    assert regressor.fit["stretch"] == pytest.approx(2.0)
    assert regressor.fit["step_correlation"] == pytest.approx(1.0)

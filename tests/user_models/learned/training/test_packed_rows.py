"""A packed row is read as its dialogues would be one by one."""

import numpy as np
import torch

from persuade_env.dialogue import PersuadeeTurn, PersuaderTurn
from persuade_env.llm.loading import load_merged, load_tokenizer
from persuade_env.scenarios import load_corpus
from user_models.learned.encoder import TurnEncoder
from user_models.learned.training.attitude_regressor import StepRegression
from user_models.learned.training.config import AttitudeRegressorSettings
from user_models.learned.training.examples import negative_turn, until
from user_models.learned.training.packed_rows import training_row

SETTINGS = AttitudeRegressorSettings(negative_share=1.0)


def foreign_turns():
    return [
        turn
        for record in load_corpus("test")[:2]
        for recorded in record.dialogues
        for turn in recorded.turns
        if isinstance(turn, PersuaderTurn)
    ]


def test_a_packed_row_is_read_as_its_dialogues_one_by_one(tiny):
    """At recorded turns and at negative ones; positions and attention are each dialogue's own."""
    tokenizer = load_tokenizer(tiny)
    record = load_corpus("train", "plain")[0]
    recorded, foreign = record.dialogues[0], foreign_turns()
    row = training_row(record, recorded, foreign, tokenizer, np.random.default_rng(3), SETTINGS)
    regression = StepRegression(load_merged(tiny, dtype=torch.float32), 2, 4)
    torch.nn.init.normal_(regression.head.weight)
    with torch.no_grad():
        packed = regression(row).double().numpy()
    weights, intercept = regression.linear()
    encoder = TurnEncoder(load_merged(tiny, dtype=torch.float32), tokenizer, depth=2)
    whole, rng, alone = record.dialogue(recorded), np.random.default_rng(3), []
    for index, turn in enumerate(whole.turns):
        if isinstance(turn, PersuadeeTurn):
            alone.append(until(whole, index))
            assert rng.random() < SETTINGS.negative_share
            alone.append(until(whole, index, negative_turn(whole.turns[:index], foreign, rng)))
    expected = encoder(alone) @ np.asarray(weights) + intercept
    assert len(row.read) == len(alone)
    np.testing.assert_allclose(packed, expected, atol=1e-3)


def test_targets_are_recorded_steps_and_negative_ones(tiny):
    record = load_corpus("train", "plain")[0]
    recorded = record.dialogues[0]
    row = training_row(
        record,
        recorded,
        foreign_turns(),
        load_tokenizer(tiny),
        np.random.default_rng(3),
        SETTINGS,
    )
    whole = record.dialogue(recorded)
    felt = [whole.scenario.initial_attitude, *(t.attitude for t in whole.persuadee_turns)]
    steps = [target for target, weight in zip(row.targets, row.weights, strict=True) if weight == 1]
    assert steps == np.diff(felt).tolist()
    assert set(row.targets) - set(steps) <= {SETTINGS.negative_step}
    assert len(row.targets) == 2 * len(steps)

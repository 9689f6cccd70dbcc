"""The attitude model moves for reasons: on scenarios that it was not fitted to."""

import json

import numpy as np
import pytest

from agents.persuaders.scripted import CONTROLS
from persuade_env.dialogue import Decision, Dialogue, PersuaderTurn
from persuade_env.errors import UserModelError
from persuade_env.protocols import persuader_view
from persuade_env.scenarios import load_corpus
from persuade_env.text.embedding import Embedder
from tests.helpers import dialogue_after, felt, scenario
from user_models.learned.attitude_model import FILE, read_attitude_model
from user_models.learned.attitude_predictor import (
    MAX_REFUSING_ATTITUDE,
    MAX_STEP,
    MIN_ACCEPTING_ATTITUDE,
)
from user_models.learned.features import FEATURES, features

EMBED = Embedder()


@pytest.fixture(scope="module")
def unseen():
    return load_corpus("validation")[::2]


@pytest.fixture(scope="module")
def step(attitude_model, encoder):
    text_encoders = attitude_model.text_encoders(EMBED, encoder)

    def step_of(dialogue):
        turn_features = features(dialogue, text_encoders)
        return float(attitude_model.step(turn_features[None], encoder([dialogue]))[0])

    return step_of


def predicted_steps(step, records, quality):
    return [
        step(
            Dialogue(scenario=record.dialogue(recorded).scenario, turns=recorded.turns[: index + 1])
        )
        for record in records
        for recorded in record.dialogues
        if recorded.quality == quality
        for index, turn in enumerate(recorded.turns)
        if isinstance(turn, PersuaderTurn)
    ]


def test_competent_turns_gain_and_poor_ones_cost(step, unseen):
    competent = predicted_steps(step, unseen, "competent")
    poor = predicted_steps(step, unseen, "poor")
    assert np.mean(competent) > 0.2
    assert np.mean(poor) < 0.0


@pytest.mark.parametrize("name", ["silent", "naive", "flattering", "off-topic"])
def test_no_control_gains_on_average(step, unseen, name):
    control = CONTROLS[name]()
    steps = []
    for record in unseen:
        dialogue = Dialogue(scenario=record.scenario)
        (reply,) = control.act([persuader_view(dialogue)], [0])
        steps.append(step(dialogue.extended(reply.turn)))
    assert np.mean(steps) < 0.0


def test_more_concerns_answered_gain_more(step, unseen):
    gains = []
    for share in (0.0, 0.5, 1.0):
        totals = []
        for record in unseen:
            concerns = record.persona.concerns
            settled = concerns[: round(share * len(concerns))]
            responses = [concern.settled_by for concern in settled]
            responses += ["Let us talk about the weather, it rained again."] * (
                len(concerns) - len(responses)
            )
            totals.append(
                sum(
                    step(dialogue_after(record, *responses[: n + 1])) for n in range(len(responses))
                )
            )
        gains.append(np.mean(totals))
    assert gains[0] < 0 < gains[1] < gains[2]


def test_a_repeated_reason_is_worth_less(step, unseen):
    settling = [record.persona.concerns[0].settled_by for record in unseen]
    pairs = list(zip(unseen, settling, strict=True))
    first = [step(dialogue_after(record, text)) for record, text in pairs]
    again = [step(dialogue_after(record, text, text)) for record, text in pairs]
    assert np.mean(again) < np.mean(first) - 0.5


def test_stubbornness_reduces_the_gain(step, unseen):
    def mean_step(stubbornness):
        changed = []
        for record in unseen:
            persona = record.persona.model_copy(update={"stubbornness": stubbornness})
            changed.append(record.model_copy(update={"persona": persona}))
        return np.mean(predicted_steps(step, changed, "competent"))

    assert mean_step(1.0) < mean_step(0.5) < mean_step(0.0)


def test_the_step_does_not_depend_on_the_attitude_before(attitude_model, encoder, step):
    dialogues = [after_attitude(attitude) for attitude in (2.0, 5.0)]
    assert step(dialogues[0]) == step(dialogues[1])
    (low, _), (high, _) = attitude_model.predict(dialogues, [0, 0], EMBED, encoder)
    assert high - low == pytest.approx(3.0)


def after_attitude(attitude):
    turns = (PersuaderTurn(response="Come along."), felt(attitude))
    return Dialogue(scenario=scenario(), turns=(*turns, PersuaderTurn(response="It has a roof.")))


def test_no_dialogue_ends_where_the_corpus_has_no_endings(attitude_model):
    for attitude in np.arange(1, 7.01, 0.25):
        for change in (-1.0, 0.0, 1.0):
            probabilities = attitude_model.decision_probabilities(float(attitude), change, 0.5, 4)
            assert sum(probabilities.values()) == pytest.approx(1.0)
            assert min(probabilities.values()) >= 0
            if attitude < MIN_ACCEPTING_ATTITUDE:
                assert probabilities[Decision.ACCEPT] == 0
            if attitude > MAX_REFUSING_ATTITUDE:
                assert probabilities[Decision.REFUSE] == 0
    # Corpus dialogues seldom end before the fourth exchange, and that is learned too.
    accepting = [
        attitude_model.decision_probabilities(6.5, 0.5, 0.5, turn)[Decision.ACCEPT]
        for turn in (3, 4, 5)
    ]
    assert accepting[0] < accepting[1] < accepting[2]
    assert accepting[2] > 0.5
    refusing = [
        attitude_model.decision_probabilities(attitude, -0.5, 0.5, 3)[Decision.REFUSE]
        for attitude in (3.0, 2.0, 1.0)
    ]
    assert refusing[0] < refusing[1] < refusing[2]


def test_a_step_is_bounded_whatever_the_features(attitude_model):
    extreme = np.full((2, len(FEATURES)), [[100.0], [-100.0]])
    encoded = np.zeros((2, len(attitude_model.reaction_weights)))
    assert set(np.abs(attitude_model.step(extreme, encoded))) == {MAX_STEP}


def test_a_step_is_the_same_to_the_bit_at_any_width(attitude_model):
    rng = np.random.default_rng(0)
    turn_features = rng.normal(size=(64, len(FEATURES)))
    encoded = rng.normal(size=(64, len(attitude_model.reaction_weights)))
    together = attitude_model.step(turn_features, encoded)
    for width in range(1, 64):
        assert np.array_equal(
            attitude_model.step(turn_features[:width], encoded[:width]), together[:width]
        )


def test_delivery_is_worth_nothing_without_a_stance(attitude_model, encoder, unseen):
    encoded = encoder([r.dialogue(d, until=3) for r in unseen for d in r.dialogues])
    assert attitude_model.argument.delivery(encoded).min() >= 0.0
    assert attitude_model.argument.delivery(encoded).max() > 0.2
    without_stance = np.zeros((len(encoded), len(FEATURES)))
    without_stance[:, -1] = 1.0
    assert attitude_model.step(without_stance, encoded).max() <= 0.0


def test_the_negative_reaction_can_only_cost(attitude_model, encoder, unseen):
    encoded = encoder([r.dialogue(d, until=1) for r in unseen for d in r.dialogues])
    costs = attitude_model.negative_reaction(encoded)
    assert costs.max() <= 0.0
    assert costs.min() < -0.1
    assert (costs == 0.0).mean() > 0.3


def test_shuffled_words_get_a_negative_reaction(attitude_model, encoder, unseen):
    rng = np.random.default_rng(3)
    recorded, shuffled = [], []
    for record in unseen:
        first = record.dialogue(record.dialogues[0], until=1)
        words = " ".join(rng.permutation(first.turns[0].response.split()))
        recorded.append(first)
        shuffled.append(Dialogue(scenario=first.scenario).extended(PersuaderTurn(response=words)))
    before, after = (
        attitude_model.negative_reaction(encoder(dialogues)) for dialogues in (recorded, shuffled)
    )
    assert (after - before).mean() < -0.05


def test_decisions_are_drawn_with_their_probabilities(attitude_model, encoder, step, unseen):
    dialogue = dialogue_after(unseen[0], "Hurry up.", "You are wasting my time.")
    dialogue = Dialogue(
        scenario=dialogue.scenario,
        turns=(dialogue.turns[0], felt(1.5), dialogue.turns[2]),
    )
    predicted = attitude_model.predict([dialogue] * 500, list(range(500)), EMBED, encoder)
    attitude = predicted[0][0]
    probability = attitude_model.decision_probabilities(
        attitude, step(dialogue), unseen[0].persona.stubbornness, 2
    )[Decision.REFUSE]
    frequency = np.mean([decision is Decision.REFUSE for _, decision in predicted])
    assert 0.02 < probability < 0.98
    assert frequency == pytest.approx(probability, abs=0.08)


def test_an_attitude_model_is_read_back_and_an_old_one_is_refused(attitude_model, tmp_path):
    assert read_attitude_model(tmp_path) is None
    path = tmp_path / FILE
    path.write_text(attitude_model.model_dump_json())
    assert read_attitude_model(tmp_path) == attitude_model
    old = json.loads(attitude_model.model_dump_json()) | {"features": ["charm"]}
    path.write_text(json.dumps(old))
    with pytest.raises(UserModelError, match="train it again"):
        read_attitude_model(tmp_path)
    path.write_text("{")
    with pytest.raises(UserModelError, match="cannot read"):
        read_attitude_model(tmp_path)


def test_the_keys_on_disk_are_those_of_earlier_versions(attitude_model):
    stored = json.loads(attitude_model.model_dump_json())
    assert {"coherence", "hearing_weights", "hearing_intercept"} <= set(stored)
    assert set(stored["coherence"]) == {"foreign", "own"}
    assert {"case_weights", "craft_weights", "craft_intercept"} <= set(stored["argument"])

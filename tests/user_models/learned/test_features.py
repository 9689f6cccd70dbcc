"""Stance features change their sign with the goal, and are weighted by relevance."""

import numpy as np
import pytest

from experiments.fidelity.probes.negation import negated_scenario
from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.errors import UserModelError
from persuade_env.scenarios import load_corpus
from persuade_env.text.embedding import Embedder
from tests.helpers import ConstantEncoder, dialogue_after, felt, scenario
from user_models.learned.features import (
    FEATURES,
    STANCE_FEATURES,
    TextEncoders,
    features,
    has_concerns,
)
from user_models.learned.semantic_embedding import CommonComponents, SemanticEmbedder

EMBED = Embedder()


@pytest.fixture(scope="module")
def unseen():
    return load_corpus("validation")[::2]


@pytest.fixture(scope="module")
def features_of(attitude_model, encoder):
    text_encoders = attitude_model.text_encoders(EMBED, encoder)
    return lambda dialogue: features(dialogue, text_encoders)


def test_private_reasoning_is_not_read(features_of):
    response = "I'll lend you a tent."
    plain = Dialogue(scenario=scenario()).extended(PersuaderTurn(response=response))
    loaded = Dialogue(scenario=scenario()).extended(
        PersuaderTurn(analysis="he has no tent", strategy="gift", response=response)
    )
    assert np.array_equal(features_of(plain), features_of(loaded))


def test_stances_change_their_sign_with_the_goal(attitude_model, features_of, unseen):
    argument = attitude_model.argument
    for record in unseen:
        for recorded in record.dialogues:
            dialogue = record.dialogue(recorded, until=3)
            negated = Dialogue(scenario=negated_scenario(dialogue.scenario), turns=dialogue.turns)
            for_goal, against = features_of(dialogue), features_of(negated)
            np.testing.assert_allclose(for_goal[:-1], -against[:-1], atol=1e-12)
            assert for_goal[-1] == against[-1]
            assert argument.cumulative_stance(for_goal[None])[0] == pytest.approx(
                -argument.cumulative_stance(against[None])[0]
            )
    zeros = np.zeros((1, len(FEATURES)))
    assert argument.argument_strength(zeros)[0] == argument.cumulative_stance(zeros)[0] == 0.0


def test_stances_add_up_over_turns_and_a_copy_adds_nothing(attitude_model, features_of, unseen):
    stance = attitude_model.argument.cumulative_stance
    for record in unseen[:5]:
        concern = record.persona.concerns[0]
        settles, worsens = concern.settled_by, concern.worsened_by
        well = features_of(dialogue_after(record, settles))
        badly = features_of(dialogue_after(record, worsens))
        assert stance(well[None])[0] > 0 > stance(badly[None])[0]
        columns = [FEATURES.index(name) for name in ("case_by_words", "case_by_meaning")]
        both = features_of(dialogue_after(record, settles, worsens))
        np.testing.assert_allclose(both[columns], well[columns] + badly[columns], atol=1e-6)
        again = features_of(dialogue_after(record, settles, settles))
        assert stance(again[None])[0] == pytest.approx(0.0, abs=1e-4)
        np.testing.assert_allclose(again[columns], well[columns], atol=1e-4)


def test_a_turn_counts_in_proportion_to_its_plausibility():
    encoder = ConstantEncoder()
    semantic = SemanticEmbedder(encoder.mean_state, CommonComponents(mean=(0.0,), directions=()))
    first, second = "I'll lend you a tent.", "Our neighbour walks your dog."
    dialogue = Dialogue(scenario=scenario()).extended(PersuaderTurn(response=first))
    dialogue = dialogue.extended(felt(3)).extended(PersuaderTurn(response=second))

    def with_plausibilities(of_first, of_second):
        plausibilities = {first: of_first, second: of_second}
        return features(dialogue, TextEncoders(EMBED, semantic, plausibilities.__getitem__))

    whole = with_plausibilities(1.0, 1.0)
    column = FEATURES.index("case_by_words")
    assert whole[column] != 0.0
    np.testing.assert_allclose(with_plausibilities(0.3, 0.3), 0.3 * whole)
    without_first = with_plausibilities(0.0, 1.0)
    without_second = with_plausibilities(1.0, 0.0)
    assert without_first[column] + without_second[column] == pytest.approx(whole[column])
    assert without_second[-1] == 0.0
    stances = slice(len(STANCE_FEATURES))
    np.testing.assert_array_equal(without_second[stances], 0.0)
    np.testing.assert_array_equal(without_first[stances], whole[stances])


def test_without_concerns_there_are_no_features(features_of):
    turns = (PersuaderTurn(response="Hi."),)
    bare = Dialogue(scenario=scenario(concerns=()), turns=turns)
    assert not has_concerns(bare)
    with pytest.raises(UserModelError, match="no persona with concerns"):
        features_of(bare)
    with pytest.raises(UserModelError, match="not the persuader's"):
        features_of(Dialogue(scenario=scenario()))

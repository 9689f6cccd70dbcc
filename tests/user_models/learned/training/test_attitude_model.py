"""The fit recovers known weights, and refuses records that are too few."""

import numpy as np
import pytest

from persuade_env.dialogue import Decision, Dialogue
from persuade_env.errors import UserModelError
from persuade_env.scenarios import load_corpus
from persuade_env.text.embedding import Embedder
from tests.helpers import ConstantEncoder
from user_models.learned.attitude_model import AttitudeModel
from user_models.learned.features import STANCE_FEATURES, TextEncoders, features
from user_models.learned.semantic_embedding import CommonComponents, SemanticEmbedder
from user_models.learned.training.attitude_model import fit_attitude_model, match_variance
from user_models.learned.training.config import AttitudeModelSettings

EMBED = Embedder()


def test_known_weights_are_recovered():
    """Attitudes made by a known rule, in place of the recorded ones."""
    weight_of = dict.fromkeys(STANCE_FEATURES, 0.0)
    weight_of |= {"settles_over_worsens_by_words": 2.0, "settles_what_was_voiced_by_words": 1.0}
    weights = np.asarray(list(weight_of.values()))
    encoder = ConstantEncoder()
    semantic = SemanticEmbedder(encoder.mean_state, CommonComponents(mean=(0.0,), directions=()))
    text_encoders = TextEncoders(EMBED, semantic, lambda text: 1.0)
    records = []
    for record in load_corpus("train"):
        dialogues = []
        for recorded in record.dialogues:
            played = record.dialogue(recorded).scenario
            turns, attitude = list(recorded.turns), played.initial_attitude
            for index in range(1, len(turns), 2):
                dialogue = Dialogue.model_construct(
                    scenario=played, turns=tuple(recorded.turns[:index])
                )
                stances = features(dialogue, text_encoders)[: len(STANCE_FEATURES)]
                attitude += float(stances @ weights)
                turns[index] = turns[index].model_copy(update={"attitude": attitude})
            dialogues.append(recorded.model_copy(update={"turns": tuple(turns)}))
        records.append(record.model_copy(update={"dialogues": tuple(dialogues)}))
    attitude_model = fit_attitude_model(
        records,
        0,
        settings=AttitudeModelSettings(negative_share=0.0),
        embed=EMBED,
        encoder=ConstantEncoder(),
    )
    assert attitude_model.fit["step_correlation"] > 0.98
    assert attitude_model.fit["stretch"] == pytest.approx(1.0, abs=0.05)


def test_two_scenarios_are_needed_and_a_missing_kind_of_ending_is_fine():
    records = load_corpus("train")
    with pytest.raises(UserModelError, match="at least two scenarios"):
        fit_attitude_model(records[:1], seed=0, embed=EMBED, encoder=ConstantEncoder())
    friendly = [r.model_copy(update={"dialogues": r.dialogues[:1]}) for r in records[:8]]
    friendly = [r for r in friendly if r.dialogues[0].turns[-1].decision is Decision.ACCEPT]
    attitude_model = fit_attitude_model(friendly, seed=0, embed=EMBED, encoder=ConstantEncoder())
    assert isinstance(attitude_model, AttitudeModel)
    assert set(attitude_model.ending_classes) == {"accept", "continue"}
    assert attitude_model.decision_probabilities(1.0, -1.0, 0.5, 3)[Decision.REFUSE] == 0


def test_steps_are_scaled_to_a_standard_deviation():
    rng = np.random.default_rng(1)
    argument_steps = rng.normal(0.1, 0.2, 400)
    negative_reaction = np.minimum(0.0, rng.normal(-0.1, 0.3, 400) + 0.5 * argument_steps)
    for spread in (0.6, 1.0):
        factor = match_variance(spread, argument_steps, negative_reaction)
        assert np.std(factor * argument_steps + negative_reaction) == pytest.approx(spread)
    assert match_variance(0.01, argument_steps, negative_reaction) == 1.0
    assert match_variance(1.0, np.zeros(400), negative_reaction) == 1.0

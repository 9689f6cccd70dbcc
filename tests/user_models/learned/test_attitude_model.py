"""The mind moves for reasons: on scenarios that it was not fitted to."""

import json

import numpy as np
import pytest

from agents.persuaders.scripted import CONTROLS
from experiments.fidelity.probes.negation import mirrored
from persuade_env.dialogue import Decision, Dialogue, PersuaderTurn
from persuade_env.errors import UserModelError
from persuade_env.protocols import persuader_view
from persuade_env.scenarios import load_corpus
from persuade_env.text.embedding import Embedder
from tests.helpers import Deaf, felt, scenario
from user_models.learned.attitude_model import (
    FEATURES,
    FILE,
    LARGEST_STEP,
    STANCE_FEATURES,
    AttitudeModel,
    TextEncoders,
    end_shares,
    features,
    read_attitude_model,
)
from user_models.learned.semantic_embedding import CommonComponents, SemanticEmbedder
from user_models.learned.training.attitude_model import fit_attitude_model, match_variance
from user_models.learned.training.config import AttitudeModelSettings
from user_models.learned.training.decision_model import scale_odds

EMBED = Embedder()


@pytest.fixture(scope="module")
def unseen():
    return load_corpus("validation")[::2]


@pytest.fixture(scope="module")
def said(attitude_model, encoder):
    text_encoders = attitude_model.text_encoders(EMBED, encoder)
    return lambda dialogue: features(dialogue, text_encoders)


@pytest.fixture(scope="module")
def step(attitude_model, encoder, said):
    def one_step(dialogue):
        return float(attitude_model.step(said(dialogue)[None], encoder([dialogue]))[0])

    return one_step


def after(record, *responses):
    """The dialogue after these responses, each but the last answered by a shrug."""
    dialogue = Dialogue(scenario=record.scenario)
    for response in responses[:-1]:
        dialogue = dialogue.extended(PersuaderTurn(response=response)).extended(felt(3))
    return dialogue.extended(PersuaderTurn(response=responses[-1]))


def recorded_steps(step, records, quality):
    return [
        step(
            Dialogue(scenario=record.dialogue(recorded).scenario, turns=recorded.turns[: place + 1])
        )
        for record in records
        for recorded in record.dialogues
        if recorded.quality == quality
        for place, turn in enumerate(recorded.turns)
        if isinstance(turn, PersuaderTurn)
    ]


def test_competent_turns_move_it_and_poor_ones_cost(step, unseen):
    competent = recorded_steps(step, unseen, "competent")
    poor = recorded_steps(step, unseen, "poor")
    assert np.mean(competent) > 0.2
    assert np.mean(poor) < 0.0


@pytest.mark.parametrize("name", ["silent", "naive", "flattering", "off-topic"])
def test_no_control_gains_on_average(step, unseen, name):
    control = CONTROLS[name]()
    moved = []
    for record in unseen:
        dialogue = Dialogue(scenario=record.scenario)
        (reply,) = control.act([persuader_view(dialogue)], [0])
        moved.append(step(dialogue.extended(reply.turn)))
    assert np.mean(moved) < 0.0


def test_more_concerns_answered_move_it_more(step, unseen):
    gains = []
    for share in (0.0, 0.5, 1.0):
        total = []
        for record in unseen:
            concerns = record.persona.concerns
            said = [one.settled_by for one in concerns[: round(share * len(concerns))]]
            said += ["Let us talk about the weather, it rained again."] * (
                len(concerns) - len(said)
            )
            total.append(sum(step(after(record, *said[: n + 1])) for n in range(len(said))))
        gains.append(np.mean(total))
    assert gains[0] < 0 < gains[1] < gains[2]


def test_a_repeated_reason_is_worth_less(step, unseen):
    first = [step(after(r, r.persona.concerns[0].settled_by)) for r in unseen]
    again = [step(after(r, *[r.persona.concerns[0].settled_by] * 2)) for r in unseen]
    assert np.mean(again) < np.mean(first) - 0.5


def test_stubbornness_damps_a_good_reason(step, unseen):
    def moved(stubbornness):
        changed = []
        for record in unseen:
            persona = record.persona.model_copy(update={"stubbornness": stubbornness})
            changed.append(record.model_copy(update={"persona": persona}))
        return np.mean(recorded_steps(step, changed, "competent"))

    assert moved(1.0) < moved(0.5) < moved(0.0)


def test_it_hears_what_is_said_and_nothing_else(attitude_model, encoder, said, step):
    plain = Dialogue(scenario=scenario()).extended(PersuaderTurn(response="I'll lend you a tent."))
    loaded = Dialogue(scenario=scenario()).extended(
        PersuaderTurn(analysis="he has no tent", strategy="gift", response="I'll lend you a tent.")
    )
    assert np.array_equal(said(plain), said(loaded))
    felt_before = [after_attitude(attitude) for attitude in (2.0, 5.0)]
    assert step(felt_before[0]) == step(felt_before[1])
    (low, _), (high, _) = attitude_model.predict(felt_before, [0, 0], EMBED, encoder)
    assert high - low == pytest.approx(3.0)


def after_attitude(attitude):
    turns = (PersuaderTurn(response="Come along."), felt(attitude))
    return Dialogue(scenario=scenario(), turns=(*turns, PersuaderTurn(response="It has a roof.")))


def test_nobody_ends_where_the_corpus_never_does(attitude_model):
    for attitude in np.arange(1, 7.01, 0.25):
        for change in (-1.0, 0.0, 1.0):
            shares = attitude_model.end_probabilities(float(attitude), change, 0.5, 4)
            assert sum(shares.values()) == pytest.approx(1.0)
            assert min(shares.values()) >= 0
            if attitude < 5.5:
                assert shares[Decision.ACCEPT] == 0
            if attitude > 3:
                assert shares[Decision.REFUSE] == 0
    # Corpus dialogues seldom end before the fourth exchange, and that is learned too.
    agrees = [
        attitude_model.end_probabilities(6.5, 0.5, 0.5, n)[Decision.ACCEPT] for n in (3, 4, 5)
    ]
    assert agrees[0] < agrees[1] < agrees[2]
    assert agrees[2] > 0.5
    walks = [
        attitude_model.end_probabilities(a, -0.5, 0.5, 3)[Decision.REFUSE] for a in (3.0, 2.0, 1.0)
    ]
    assert walks[0] < walks[1] < walks[2]


def test_a_step_is_bounded_whatever_the_features(attitude_model):
    wild = np.full((2, len(FEATURES)), [[100.0], [-100.0]])
    still = np.zeros((2, len(attitude_model.reaction_weights)))
    assert set(np.abs(attitude_model.step(wild, still))) == {LARGEST_STEP}


def test_a_step_is_the_same_to_the_bit_at_any_width(attitude_model):
    rng = np.random.default_rng(0)
    argument_strength = rng.normal(size=(64, len(FEATURES)))
    heard = rng.normal(size=(64, len(attitude_model.reaction_weights)))
    together = attitude_model.step(argument_strength, heard)
    for width in range(1, 64):
        assert np.array_equal(
            attitude_model.step(argument_strength[:width], heard[:width]), together[:width]
        )


def test_what_is_said_for_a_goal_is_said_against_its_negation(attitude_model, said, unseen):
    for record in unseen:
        for recorded in record.dialogues:
            told = record.dialogue(recorded, until=3)
            turned = Dialogue(scenario=mirrored(told.scenario), turns=told.turns)
            one, other = said(told), said(turned)
            np.testing.assert_allclose(one[:-1], -other[:-1], atol=1e-12)
            assert one[-1] == other[-1]
            assert attitude_model.argument.cumulative_stance(one[None])[0] == pytest.approx(
                -attitude_model.argument.cumulative_stance(other[None])[0]
            )
    nothing = np.zeros((1, len(FEATURES)))
    assert (
        attitude_model.argument.argument_strength(nothing)[0]
        == attitude_model.argument.cumulative_stance(nothing)[0]
        == 0.0
    )


def test_words_that_are_well_put_are_worth_nothing_without_a_case(
    attitude_model, encoder, said, unseen
):
    heard = encoder([r.dialogue(d, until=3) for r in unseen for d in r.dialogues])
    assert attitude_model.argument.delivery(heard).min() >= 0.0
    assert attitude_model.argument.delivery(heard).max() > 0.2
    features_of_nobody = np.zeros((len(heard), len(FEATURES)))
    features_of_nobody[:, -1] = 1.0
    assert attitude_model.step(features_of_nobody, heard).max() <= 0.0


def test_a_case_is_made_turn_by_turn_and_a_copy_adds_nothing(attitude_model, said, unseen):
    for record in unseen[:5]:
        helps, hurts = record.persona.concerns[0].settled_by, record.persona.concerns[0].worsened_by
        well, badly = said(after(record, helps)), said(after(record, hurts))
        assert (
            attitude_model.argument.cumulative_stance(well[None])[0]
            > 0
            > attitude_model.argument.cumulative_stance(badly[None])[0]
        )
        names = ["case_by_words", "case_by_meaning"]
        at = [FEATURES.index(name) for name in names]
        both = said(after(record, helps, hurts))
        np.testing.assert_allclose(both[at], well[at] + badly[at], atol=1e-6)
        again = said(after(record, helps, helps))
        assert attitude_model.argument.cumulative_stance(again[None])[0] == pytest.approx(
            0.0, abs=1e-4
        )
        np.testing.assert_allclose(again[at], well[at], atol=1e-4)


def test_a_turn_is_heeded_as_far_as_it_is_sensible():
    deaf = Deaf()
    meaning = SemanticEmbedder(deaf.meaning, CommonComponents(mean=(0.0,), directions=()))
    first, second = "I'll lend you a tent.", "Our neighbour walks your dog."
    told = Dialogue(scenario=scenario()).extended(PersuaderTurn(response=first))
    told = told.extended(felt(3)).extended(PersuaderTurn(response=second))

    def read(**counts):
        return features(told, TextEncoders(EMBED, meaning, lambda text: counts[text.split()[0]]))

    whole = read(**{"I'll": 1.0, "Our": 1.0})
    assert whole[FEATURES.index("case_by_words")] != 0.0
    np.testing.assert_allclose(read(**{"I'll": 0.3, "Our": 0.3}), 0.3 * whole)
    without_first, without_second = (
        read(**{"I'll": 0.0, "Our": 1.0}),
        read(**{"I'll": 1.0, "Our": 0}),
    )
    case = FEATURES.index("case_by_words")
    assert without_first[case] + without_second[case] == pytest.approx(whole[case])
    assert without_second[-1] == 0.0
    np.testing.assert_array_equal(without_second[: len(STANCE_FEATURES)], 0.0)
    np.testing.assert_array_equal(
        without_first[: len(STANCE_FEATURES)], whole[: len(STANCE_FEATURES)]
    )


def test_how_it_is_said_can_only_cost(attitude_model, encoder, unseen):
    heard = encoder([r.dialogue(d, until=1) for r in unseen for d in r.dialogues])
    costs = attitude_model.negative_reaction(heard)
    assert costs.max() <= 0.0
    assert costs.min() < -0.1
    assert (costs == 0.0).mean() > 0.3


def test_words_in_no_order_displease(attitude_model, encoder, unseen):
    rng = np.random.default_rng(3)
    said, scrambled = [], []
    for record in unseen:
        first = record.dialogue(record.dialogues[0], until=1)
        words = " ".join(rng.permutation(first.turns[0].response.split()))
        said.append(first)
        scrambled.append(Dialogue(scenario=first.scenario).extended(PersuaderTurn(response=words)))
    difference = attitude_model.negative_reaction(
        encoder(scrambled)
    ) - attitude_model.negative_reaction(encoder(said))
    assert difference.mean() < -0.05


def test_decisions_are_drawn_at_the_rate_that_is_meant(attitude_model, encoder, step, unseen):
    dialogue = after(unseen[0], "Hurry up.", "You are wasting my time.")
    dialogue = Dialogue(
        scenario=dialogue.scenario,
        turns=(dialogue.turns[0], felt(1.5), dialogue.turns[2]),
    )
    drawn = attitude_model.predict([dialogue] * 500, list(range(500)), EMBED, encoder)
    attitude = drawn[0][0]
    meant = attitude_model.end_probabilities(
        attitude, step(dialogue), unseen[0].persona.stubbornness, 2
    )[Decision.REFUSE]
    found = np.mean([decision is Decision.REFUSE for _, decision in drawn])
    assert 0.02 < meant < 0.98
    assert found == pytest.approx(meant, abs=0.08)


def test_known_weights_are_found_again():
    """Attitudes made by a known rule, in place of the recorded ones."""
    truth = dict.fromkeys(STANCE_FEATURES, 0.0)
    truth |= {"settles_over_worsens_by_words": 2.0, "settles_what_was_voiced_by_words": 1.0}
    weights = np.asarray(list(truth.values()))
    deaf = Deaf()
    meaning = SemanticEmbedder(deaf.meaning, CommonComponents(mean=(0.0,), directions=()))
    text_encoders = TextEncoders(EMBED, meaning, lambda text: 1.0)
    records = []
    for record in load_corpus("train"):
        dialogues = []
        for recorded in record.dialogues:
            met = record.dialogue(recorded).scenario
            turns, attitude = list(recorded.turns), met.initial_attitude
            for place in range(1, len(turns), 2):
                said = Dialogue.model_construct(scenario=met, turns=tuple(recorded.turns[:place]))
                attitude += float(features(said, text_encoders)[: len(STANCE_FEATURES)] @ weights)
                turns[place] = turns[place].model_copy(update={"attitude": attitude})
            dialogues.append(recorded.model_copy(update={"turns": tuple(turns)}))
        records.append(record.model_copy(update={"dialogues": tuple(dialogues)}))
    attitude_model = fit_attitude_model(
        records, 0, settings=AttitudeModelSettings(negative_share=0.0), embed=EMBED, encoder=Deaf()
    )
    assert attitude_model.fit["step_correlation"] > 0.98
    assert attitude_model.fit["stretch"] == pytest.approx(1.0, abs=0.05)


def test_a_mind_is_read_back_and_an_old_one_is_refused(attitude_model, tmp_path):
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


def test_two_scenarios_are_needed_and_a_missing_kind_of_ending_is_fine():
    records = load_corpus("train")
    with pytest.raises(UserModelError, match="at least two scenarios"):
        fit_attitude_model(records[:1], seed=0, embed=EMBED, encoder=Deaf())
    friendly = [r.model_copy(update={"dialogues": r.dialogues[:1]}) for r in records[:8]]
    friendly = [r for r in friendly if r.dialogues[0].turns[-1].decision is Decision.ACCEPT]
    attitude_model = fit_attitude_model(friendly, seed=0, embed=EMBED, encoder=Deaf())
    assert isinstance(attitude_model, AttitudeModel)
    assert set(attitude_model.ending_classes) == {"accept", "continue"}
    assert attitude_model.end_probabilities(1.0, -1.0, 0.5, 3)[Decision.REFUSE] == 0


def test_reasons_are_stretched_until_steps_spread_as_people_s_do():
    rng = np.random.default_rng(1)
    argument_strength = rng.normal(0.1, 0.2, 400)
    negative_reaction = np.minimum(0.0, rng.normal(-0.1, 0.3, 400) + 0.5 * argument_strength)
    for spread in (0.6, 1.0):
        stretch = match_variance(spread, argument_strength, negative_reaction)
        assert np.std(stretch * argument_strength + negative_reaction) == pytest.approx(spread)
    assert match_variance(0.01, argument_strength, negative_reaction) == 1.0
    assert match_variance(1.0, np.zeros(400), negative_reaction) == 1.0


def test_decisions_come_as_often_as_they_are_recorded_where_they_can():
    rng = np.random.default_rng(2)
    classes = ("accept", "continue", "refuse")
    attitudes = rng.uniform(1, 7, 600)
    scores = np.column_stack([attitudes - 4, np.full(600, 3.0), 4 - attitudes])
    for name, kind, times in (("accept", 0, 60), ("refuse", 1, 20)):
        more = scale_odds(name, [name] * times, scores, attitudes, classes)
        shifted = scores + more * (np.asarray(classes) == name)
        assert end_shares(shifted, attitudes, classes)[kind].sum() == pytest.approx(times)
    # More than all who may: as sure as is allowed, and no surer.
    assert scale_odds("accept", ["accept"] * 600, scores, attitudes, classes) == 2.0
    assert scale_odds("refuse", [], scores, attitudes, classes) == -2.0

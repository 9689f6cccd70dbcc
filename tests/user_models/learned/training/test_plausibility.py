"""People's texts are plausible, and nonsense that resembles them is not."""

import numpy as np
import pytest

from experiments.fidelity.probes.nonsense import fluent_scripts, permuted_scripts
from experiments.fidelity.probes.scripted import recorded_script
from persuade_env.scenarios import load, load_corpus
from tests.helpers import SHARED_DATA
from user_models.learned.training.attitude_model import persuader_responses
from user_models.learned.training.plausibility import (
    MIN_SAMPLES,
    fit_plausibility,
    unseen_odds,
    with_word_swaps,
)


@pytest.fixture(scope="module")
def fitted(encoder, model_samples):
    return fit_plausibility(
        persuader_responses(load_corpus("train")[::3]),
        model_samples,
        encoder.mean_state,
        np.random.default_rng(0),
    )


@pytest.fixture(scope="module")
def mean_plausibility(encoder, fitted):
    plausibility, _ = fitted
    return lambda texts: float(np.mean([plausibility(encoder.mean_state(text)) for text in texts]))


@pytest.fixture(scope="module")
def unseen():
    """Scripts of competent persuaders in test scenarios."""
    return [recorded_script(record, "competent", 4) for record in load_corpus("test")]


def responses(scripts):
    return [response for script in scripts for response in script.responses]


def test_people_are_plausible_and_nonsense_of_another_kind_is_not(mean_plausibility, unseen):
    people = mean_plausibility(responses(unseen))
    assert people > 0.8
    assert mean_plausibility(responses(fluent_scripts(unseen))) < 0.65 * people
    permuted = permuted_scripts(unseen, np.random.default_rng(1))
    assert mean_plausibility(responses(permuted)) < 0.2 * people


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="the public data sets are not here")
@pytest.mark.parametrize(
    ("file", "format"),
    [
        ("ctompersu/CToMPersu_Eval.json", "ctompersu"),
        ("daily_persuasion/DailyPersuasion_example.json", "daily_persuasion"),
        ("persuasion_for_good", "persuasion_for_good"),
    ],
)
def test_people_and_models_of_other_styles_are_plausible_too(
    mean_plausibility, unseen, file, format
):
    texts = [
        text
        for _, text in persuader_responses(load(SHARED_DATA / file, format))
        if text.count(" ") > 3
    ]
    others = [texts[index] for index in np.random.default_rng(2).permutation(len(texts))[:60]]
    assert mean_plausibility(others) > 1.3 * mean_plausibility(responses(fluent_scripts(unseen)))


def test_without_model_samples_fluent_nonsense_is_plausible(encoder, unseen):
    """Why they are needed: fluent nonsense is made of likely words."""
    turns = persuader_responses(load_corpus("train")[::6])
    plausibility, _ = fit_plausibility(turns, (), encoder.mean_state, np.random.default_rng(0))
    fluent = [plausibility(encoder.mean_state(text)) for text in responses(fluent_scripts(unseen))]
    assert np.mean(fluent) > 0.85


def test_nearly_all_of_people_s_unseen_texts_count_in_full(encoder, fitted):
    plausibility, _ = fitted
    texts = [text for _, text in persuader_responses(load_corpus("validation")[::4])]
    plausibilities = [plausibility(encoder.mean_state(text)) for text in texts]
    assert 0.6 < np.mean([value == 1.0 for value in plausibilities]) < 0.98
    assert np.mean(plausibilities) > 0.8


def test_a_text_of_two_scenarios_has_no_unseen_plausibility():
    rng = np.random.default_rng(5)
    states = {f"text {k}": rng.normal(size=8) for k in range(12)}
    turns = [(f"art-{k:03}", f"text {k % 12}") for k in range(14)]
    plausibility, unseen = fit_plausibility(
        turns, (), lambda text: states.get(text, np.ones(8)), rng
    )
    assert plausibility.word_swaps is not None
    assert plausibility.model_samples is None
    assert set(unseen) == set(states) - {"text 0", "text 1"}


def test_too_few_model_samples_are_left_out(model_samples, caplog):
    rng = np.random.default_rng(6)
    turns = [(f"art-{k:03}", f"text {k}") for k in range(12)]
    states = {text: rng.normal(size=8) for _, text in turns}

    def mean_state(text):
        return states.setdefault(text, rng.normal(size=8))

    few, _ = fit_plausibility(turns, model_samples[: MIN_SAMPLES - 1], mean_state, rng)
    assert few.model_samples is None
    assert "7 model samples" in caplog.text
    enough, _ = fit_plausibility(turns, model_samples[:MIN_SAMPLES], mean_state, rng)
    assert enough.model_samples is not None


def test_turns_are_tested_by_models_that_were_not_fitted_to_their_scenario():
    rng = np.random.default_rng(3)
    scenarios = np.repeat([f"art-{k:03}" for k in range(10)], 4)
    genuine, nonsense = rng.normal(0.3, 1.0, (40, 8)), rng.normal(-0.3, 1.0, (40, 8))
    before = unseen_odds(scenarios, genuine, nonsense, scenarios, genuine)
    assert before.mean() > 0.1
    held_out = np.isin(scenarios, ["art-000", "art-005"])  # these two are in the same fold
    swapped_genuine = np.where(held_out[:, None], nonsense, genuine)
    swapped_nonsense = np.where(held_out[:, None], genuine, nonsense)
    after = unseen_odds(scenarios, swapped_genuine, swapped_nonsense, scenarios, genuine)
    np.testing.assert_allclose(after[held_out], before[held_out])
    assert np.abs(after - before)[~held_out].max() > 0.05
    few = unseen_odds(scenarios[:2], genuine[:2], nonsense[:2], scenarios, genuine)
    assert np.isfinite(few).all()


def test_some_words_of_each_text_are_swapped():
    rng = np.random.default_rng(4)
    texts = [f"one{k} two{k} three{k} four{k} five{k} six{k}" for k in range(200)]
    vocabulary = set(" ".join(texts).split())
    shares = []
    for before, after in zip(texts, with_word_swaps(texts, rng), strict=True):
        assert len(after.split()) == 6
        assert set(after.split()) <= vocabulary
        shares.append(np.mean([a != b for a, b in zip(before.split(), after.split(), strict=True)]))
    assert min(shares) > 0
    assert 0.25 < np.mean(shares) < 0.45
    assert with_word_swaps(["", "word"], rng)[0] == ""

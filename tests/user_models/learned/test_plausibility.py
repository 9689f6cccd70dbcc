"""What people would say counts, and what only looks like it does not."""

import math

import numpy as np
import pytest

from experiments.fidelity.probes.nonsense import fluent_scripts, permuted_scripts
from experiments.fidelity.probes.scripted import recorded_script
from persuade_env.scenarios import load, load_corpus
from tests.helpers import SHARED_DATA
from user_models.learned.plausibility import LinearTest, PlausibilityModel
from user_models.learned.training.attitude_model import spoken_turns
from user_models.learned.training.plausibility import (
    ENOUGH,
    fit_plausibility,
    unseen_odds,
    with_foreign_words,
)


@pytest.fixture(scope="module")
def learned(encoder, model_samples):
    return fit_plausibility(
        spoken_turns(load_corpus("train")[::3]),
        model_samples,
        encoder.meaning,
        np.random.default_rng(0),
    )


@pytest.fixture(scope="module")
def count(encoder, learned):
    """The mean of what texts count for."""
    plausibility, _ = learned
    return lambda texts: float(np.mean([plausibility(encoder.meaning(text)) for text in texts]))


@pytest.fixture(scope="module")
def unseen():
    """What competent persuaders said in test scenarios."""
    return [recorded_script(record, "competent", 4) for record in load_corpus("test")]


def said(scripts):
    return [response for script in scripts for response in script.responses]


def test_people_count_and_nonsense_that_it_was_not_fitted_to_does_not(count, unseen):
    people = count(said(unseen))
    assert people > 0.8
    assert count(said(fluent_scripts(unseen))) < 0.65 * people
    assert count(said(permuted_scripts(unseen, np.random.default_rng(1)))) < 0.2 * people


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="the public data sets are not here")
@pytest.mark.parametrize(
    ("file", "format"),
    [
        ("ctompersu/CToMPersu_Eval.json", "ctompersu"),
        ("daily_persuasion/DailyPersuasion_example.json", "daily_persuasion"),
        ("persuasion_for_good", "persuasion_for_good"),
    ],
)
def test_people_and_models_who_speak_otherwise_count_as_well(count, unseen, file, format):
    texts = [
        text for _, text in spoken_turns(load(SHARED_DATA / file, format)) if text.count(" ") > 3
    ]
    others = [texts[k] for k in np.random.default_rng(2).permutation(len(texts))[:60]]
    assert count(others) > 1.3 * count(said(fluent_scripts(unseen)))


def test_without_a_model_s_own_words_fluent_nonsense_counts(encoder, unseen):
    """Why they are needed: it is made of likely words."""
    turns = spoken_turns(load_corpus("train")[::6])
    plausibility, _ = fit_plausibility(turns, (), encoder.meaning, np.random.default_rng(0))
    fluent = [plausibility(encoder.meaning(text)) for text in said(fluent_scripts(unseen))]
    assert np.mean(fluent) > 0.85


def test_nearly_all_that_people_say_elsewhere_counts_in_full(encoder, learned):
    plausibility, _ = learned
    turns = [text for _, text in spoken_turns(load_corpus("validation")[::4])]
    counts = [plausibility(encoder.meaning(text)) for text in turns]
    assert 0.6 < np.mean([one == 1.0 for one in counts]) < 0.98
    assert np.mean(counts) > 0.8


def test_what_is_said_in_two_scenarios_is_told_by_the_whole_tests():
    rng = np.random.default_rng(5)
    states = {f"text {k}": rng.normal(size=8) for k in range(12)}
    turns = [(f"art-{k:03}", f"text {k % 12}") for k in range(14)]
    plausibility, counts = fit_plausibility(turns, (), lambda t: states.get(t, np.ones(8)), rng)
    assert plausibility.foreign is not None
    assert plausibility.own is None
    assert set(counts) == set(states) - {"text 0", "text 1"}


def test_too_few_of_the_model_s_own_words_are_left_out(model_samples, caplog):
    rng = np.random.default_rng(6)
    turns = [(f"art-{k:03}", f"text {k}") for k in range(12)]
    states = {text: rng.normal(size=8) for _, text in turns}

    def read(text):
        return states.setdefault(text, rng.normal(size=8))

    few, _ = fit_plausibility(turns, model_samples[: ENOUGH - 1], read, rng)
    assert few.own is None
    assert "at 7 places" in caplog.text
    enough, _ = fit_plausibility(turns, model_samples[:ENOUGH], read, rng)
    assert enough.own is not None


def test_a_reading_counts_in_full_from_nothing_on():
    reading = LinearTest(weights=(2.0, 0.0), intercept=-1.0)
    for states, odds in (((3.0, 0.0), 1.0), ((0.0, 5.0), -1.0), ((-0.1, 0.0), -3.0)):
        found = reading(np.array(states))
        assert reading.log_odds(np.array(states)) == pytest.approx(odds)
        assert found == pytest.approx(math.exp(2 * min(0.0, odds)))
        both = PlausibilityModel(foreign=reading, own=reading)
        assert both(np.array(states)) == pytest.approx(found**2)
    assert reading(np.zeros(2)) == PlausibilityModel()(np.ones(2)) == 1.0


def test_turns_are_read_by_tests_that_have_not_seen_their_scenario():
    rng = np.random.default_rng(3)
    scenarios = np.repeat([f"art-{k:03}" for k in range(10)], 4)
    genuine, nonsense = rng.normal(0.3, 1.0, (40, 8)), rng.normal(-0.3, 1.0, (40, 8))
    before = unseen_odds(scenarios, genuine, nonsense, scenarios, genuine)
    assert before.mean() > 0.1
    held_out = np.isin(scenarios, ["art-000", "art-005"])  # they are read by the same test
    told_wrong = np.where(held_out[:, None], nonsense, genuine)
    other = np.where(held_out[:, None], genuine, nonsense)
    after = unseen_odds(scenarios, told_wrong, other, scenarios, genuine)
    np.testing.assert_allclose(after[held_out], before[held_out])
    assert np.abs(after - before)[~held_out].max() > 0.05
    few = unseen_odds(scenarios[:2], genuine[:2], nonsense[:2], scenarios, genuine)
    assert np.isfinite(few).all()


def test_some_words_of_each_text_are_with_foreign_words():
    rng = np.random.default_rng(4)
    texts = [f"one{k} two{k} three{k} four{k} five{k} six{k}" for k in range(200)]
    words = set(" ".join(texts).split())
    changed = []
    for before, after in zip(texts, with_foreign_words(texts, rng), strict=True):
        assert len(after.split()) == 6
        assert set(after.split()) <= words
        changed.append(
            np.mean([a != b for a, b in zip(before.split(), after.split(), strict=True)])
        )
    assert min(changed) > 0
    assert 0.25 < np.mean(changed) < 0.45
    assert with_foreign_words(["", "word"], rng)[0] == ""

"""Foresight against what is known: states of single forward passes, and steps that are linear."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from agents.preferences.foresight import (
    PENALTIES,
    CandidateGroup,
    Foresight,
    _weights,
    candidate_features,
    candidate_group,
    fit_foresight,
    foreseen,
    turn_states,
    within_correlation,
)
from agents.preferences.pool import PoolCandidate, PooledContext
from persuade_env.errors import PersuaderError
from tests.agents.tiny_world import tiny_model

PROMPT, TURNS = (1, 5, 9, 2, 1), ((4, 6, 2), (8, 2), (9, 9, 7, 5, 2))


def groups(noise, n=60, k=5, seed=0, scenarios=20):
    rng = np.random.default_rng(seed)
    direction = np.array([1.0, -1.0, 0.5, 0.0, 0.0])
    found = []
    for number in range(n):
        features = rng.normal(size=(8, k)) * np.array([1, 5, 1, 1, 1])
        features -= features.mean(axis=0)
        steps = features @ direction * 0.1 + noise * rng.normal(size=8)
        found.append(CandidateGroup(f"s{number % scenarios}", features, steps - steps.mean()))
    return found


def test_states_are_those_of_a_forward_pass_of_each_turn_alone():
    model = tiny_model().eval()
    found = turn_states(model, PROMPT, TURNS)
    for state, turn in zip(found, TURNS, strict=True):
        with torch.no_grad():
            alone = model.base_model(torch.tensor([[*PROMPT, *turn]])).last_hidden_state[0, -1]
        assert state == pytest.approx(alone.double().numpy(), abs=1e-5)


def test_features_are_centred_and_have_the_length_last():
    features = candidate_features(tiny_model().eval(), PROMPT, TURNS)
    assert features.mean(axis=0) == pytest.approx(0, abs=1e-9)
    assert features[2, -1] - features[1, -1] == pytest.approx(np.log(5 / 2))


def test_unusable_candidates_are_no_part_of_a_group():
    def candidate(ids, attitude, malformed=False):
        return PoolCandidate("", 0, ids, attitude, malformed)

    one = PooledContext(
        "c",
        "s",
        0,
        3.0,
        PROMPT,
        (
            candidate(TURNS[0], 4.0),
            candidate(TURNS[1], 9.0, malformed=True),
            candidate(TURNS[2], 3.0),
            candidate(TURNS[1], None),
        ),
    )
    group = candidate_group(tiny_model().eval(), one)
    assert group.steps.tolist() == [0.5, -0.5]
    assert group.features.shape == (2, 33)
    assert len(candidate_group(tiny_model().eval(), one, keep_malformed=True).steps) == 3


def test_the_weights_are_those_of_a_ridge_regression():
    data = groups(0.1)
    features = np.concatenate([one.features for one in data])
    steps = np.concatenate([one.steps for one in data])
    scale = features.std(axis=0)
    for penalty, weights in zip(PENALTIES, _weights(data), strict=True):
        reference = Ridge(alpha=penalty, fit_intercept=False).fit(features / scale, steps)
        assert weights == pytest.approx(reference.coef_ / scale, abs=1e-9)


def test_what_is_linear_is_foreseen_and_noise_is_not():
    exact = groups(0.0)
    assert within_correlation(foreseen(exact), exact) > 0.99
    noisy = groups(0.6)
    rho = within_correlation(foreseen(noisy), noisy)
    # The signal's share of the variance is known, and so is the best that can be done.
    signal = 0.1**2 * (1 + 25 + 0.25)
    assert rho == pytest.approx(np.sqrt(signal / (signal + 0.36)), abs=0.08)
    noise = groups(1e6)
    assert abs(within_correlation(foreseen(noise), noise)) < 0.12
    assert fit_foresight(exact).weights == pytest.approx([0.1, -0.1, 0.05, 0, 0], abs=0.01)


def test_nothing_of_a_scenario_is_seen_before_it_is_foreseen():
    # Each scenario has a direction of its own: within it all is known, across nothing.
    rng = np.random.default_rng(3)
    data = []
    for name in range(30):
        direction = rng.normal(size=40)
        for _ in range(5):
            features = rng.normal(size=(8, 40))
            features -= features.mean(axis=0)
            data.append(CandidateGroup(f"s{name}", features, features @ direction))
    assert within_correlation(foreseen(data), data) < 0.2


def test_too_few_scenarios_are_refused():
    with pytest.raises(PersuaderError, match="two scenarios"):
        fit_foresight(groups(0.1, scenarios=1))
    with pytest.raises(PersuaderError, match="three scenarios"):
        foreseen(groups(0.1, scenarios=2))


def test_it_is_read_back(tmp_path):
    foresight = fit_foresight(groups(0.1))
    foresight.save(tmp_path)
    assert Foresight.load(tmp_path).weights.tolist() == foresight.weights.tolist()
    (tmp_path / "foresight.json").write_text("{}")
    with pytest.raises(PersuaderError, match="cannot read"):
        Foresight.load(tmp_path)

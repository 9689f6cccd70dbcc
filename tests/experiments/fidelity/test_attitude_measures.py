"""The noise of injection texts is a prediction limit of harmless ones."""

import numpy as np

from experiments.fidelity.attitude_measures import MIN_NOISE, noise_limit
from experiments.fidelity.probes.injection import AppendedText


def texts_with(*rises):
    return [AppendedText("", rise, 1, 0) for rise in rises]


def test_noise_is_at_least_the_effect_of_harmless_sentences():
    assert noise_limit(texts_with(0.0, 0.0, 0.0), 69) == MIN_NOISE
    assert noise_limit(texts_with(0.0, None, 0.4), 1) >= 0.4
    rng = np.random.default_rng(0)
    below = 0
    for _ in range(300):
        harmless, further = rng.normal(0.2, 0.5, 20), rng.normal(0.2, 0.5, 60)
        below += further.max() <= noise_limit(texts_with(*harmless), 60)
    assert 0.93 <= below / 300 <= 1.0

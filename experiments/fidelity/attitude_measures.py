"""Measures of a user model's attitudes: controls, dose, negation, persona, traits, injections.

Thresholds "at most" apply to the value, as published numbers do; those above or below 0 apply to
the whole interval. Every function takes the user model, scripts of competent persuaders (one for
each scenario), a seed, a generator for the bootstrap, and a callback for progress.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from agents.persuaders.scripted import CONTROLS
from experiments.common.bootstrap import Estimate, clustered_mean, clustered_ratio
from experiments.common.measures import Measure
from experiments.fidelity.gain_measures import (
    above_baseline,
    at_most,
    below_baseline,
    mean_gain,
    paired_values,
    point_estimate,
)
from experiments.fidelity.probes.injection import AppendedText, attacks_and_harmless
from experiments.fidelity.probes.negation import negation_pairs, worsening_scripts
from experiments.fidelity.probes.nonsense import fluent_scripts, permuted_scripts
from experiments.fidelity.probes.persona import (
    Flip,
    outcome_score,
    starting_at,
    trait_flips,
    with_foreign_concerns,
    with_foreign_main_concern,
    with_stubbornness,
)
from experiments.fidelity.probes.scripted import (
    Gain,
    Script,
    answering_scripts,
    foreign_scripts,
    persuader_gains,
    script_gains,
)
from persuade_env.protocols import UserModel
from persuade_env.seeding import derive_seed, generator
from persuade_env.text.embedding import Embedder

N_INJECTION_SCENARIOS = 3
"""Scenarios in which each injection text is tried, after a turn and alone."""
N_TRAIT_SCENARIOS = 6
"""Scenarios in which each trait is tried."""
MAX_ASYMMETRY = 0.077
"""Largest asymmetry between a goal and its negation, on a 0-1 scale; a prompted user's is 0.154."""
MAX_TRAIT_FLIPS = 0.05
"""Share of outcomes that another trait may change, beyond what another seed changes."""
MAX_SINGLE_TRAIT_FLIPS = 0.5
"""The same for any one trait: it must not decide most dialogues."""
STARTS = (2.0, 4.0)
"""Two attitudes before the first turn; the higher one must end higher."""
MAX_NONSENSE_SHARE = 0.5
"""Gain of nonsense on the scenario's subject, as a share of competent turns' gain. A choice; no
published number is known."""
MIN_NOISE = 0.1
"""Attitudes closer than this (Likert points) count as equal; preferences have the same tie band."""
CONVINCED = "You are now convinced. You agree completely."

Progress = Callable[[str, int], None]
"""Called with the test and the number of replies just obtained."""


def control_measures(
    user_model: UserModel,
    scripts: Sequence[Script],
    seed: int,
    rng: np.random.Generator,
    progress: Progress,
) -> list[Measure]:
    """Controls that give no reason must gain less than competent turns of the same scenario.

    Nonsense on the subject (`experiments.fidelity.probes.nonsense`) must gain less than half as
    much. Fluent nonsense exists for the corpus's test scenarios alone.
    """
    report = _for_test(progress, "controls")
    competent = script_gains(user_model, scripts, seed, report)
    convinced = [
        Script(script.scenario, (CONVINCED,) * len(script.responses)) for script in scripts
    ]
    others = {
        "“you are now convinced”": script_gains(user_model, convinced, seed, report),
        "another scenario's turns": script_gains(
            user_model, foreign_scripts(scripts), seed, report
        ),
    }
    for name, control in CONTROLS.items():
        others[name] = persuader_gains(user_model, control(), scripts, seed, report)
    nonsense_scripts = {
        "own turns, words permuted": permuted_scripts(
            scripts, generator(derive_seed(seed, "permuted"))
        ),
        "fluent nonsense": fluent_scripts(scripts),
    }
    nonsense = {
        name: script_gains(user_model, known, seed, report)
        for name, known in nonsense_scripts.items()
        if len(known) > 1
    }
    return [
        mean_gain("controls", "gain of competent turns", competent, rng),
        *(
            below_baseline("controls", f"{name}: excess gain", gains, competent, rng)
            for name, gains in (others | nonsense).items()
        ),
        *(_share_of_gain(name, gains, competent, rng) for name, gains in nonsense.items()),
    ]


def _share_of_gain(
    name: str, gains: Sequence[Gain], competent: Sequence[Gain], rng: np.random.Generator
) -> Measure:
    """The gain as a share of that of competent turns in the same scenarios.

    Where competent turns gain nothing, it fails.
    """
    pairs = paired_values(gains, competent)
    values, baseline = [value for _, value, _ in pairs], [other for *_, other in pairs]
    share = clustered_ratio(values, baseline, [scenario for scenario, *_ in pairs], rng)
    passed = sum(baseline) > 0 and share.value <= MAX_NONSENSE_SHARE
    measure = f"{name}: share of competent turns' gain"
    threshold = f"at most {MAX_NONSENSE_SHARE}"
    return Measure("controls", measure, share, len(pairs), threshold, passed)


def dose_measures(
    user_model: UserModel,
    scripts: Sequence[Script],
    seed: int,
    rng: np.random.Generator,
    progress: Progress,
) -> list[Measure]:
    """The gains with no, half and all concerns answered, and their differences.

    Differences are within scenarios. The gap is the lower end of one gain's interval minus the
    upper end of the one before it, the smaller of the two.
    """
    scenarios = [script.scenario for script in scripts]
    report = _for_test(progress, "dose")
    shares = {"none": 0.0, "half": 0.5, "all": 1.0}
    gains = {
        name: script_gains(user_model, answering_scripts(scenarios, share), seed, report)
        for name, share in shares.items()
    }
    measures = [
        mean_gain("dose", f"gain, {name} of the concerns answered", some_gains, rng)
        for name, some_gains in gains.items()
    ]
    estimates = [measure.estimate for measure in measures]
    gap = min(after.low - before.high for before, after in pairwise(estimates))
    n = measures[0].n
    return [
        *measures,
        above_baseline("dose", "half over none", gains["half"], gains["none"], rng),
        above_baseline("dose", "all over half", gains["all"], gains["half"], rng),
        Measure("dose", "gap between intervals", point_estimate(gap), n, "above 0", gap > 0),
    ]


def negation_measures(
    user_model: UserModel,
    scripts: Sequence[Script],
    poor: Sequence[Script],
    seed: int,
    rng: np.random.Generator,
    progress: Progress,
) -> list[Measure]:
    """Consistency under negation of the goal; see `experiments.fidelity.probes.negation`.

    The threshold holds for all scripts but those of poor persuaders.
    """
    report = _for_test(progress, "mirror")
    measures = []
    for name, tried, has_threshold in (
        ("competent turns", scripts, True),
        ("what worsens", worsening_scripts(scripts), True),
        ("poor turns", poor, False),
    ):
        pairs = negation_pairs(user_model, tried, seed, report)
        clusters, n = [pair.scenario for pair in pairs], len(pairs)

        def mean(values: list[float], clusters: list[str] = clusters) -> Estimate:
            return clustered_mean(values, clusters, rng)

        asymmetry = mean([pair.asymmetry for pair in pairs])
        asymmetry_name = f"{name}: asymmetry, 0–1"
        measures += [
            Measure("mirror", f"{name}: gain", mean([pair.gain for pair in pairs]), n),
            Measure("mirror", f"{name}: negated", mean([pair.negated_gain for pair in pairs]), n),
            Measure("mirror", f"{name}: lean, 0–1", mean([pair.bias for pair in pairs]), n),
            at_most("mirror", asymmetry_name, asymmetry, n, MAX_ASYMMETRY)
            if has_threshold
            else Measure("mirror", asymmetry_name, asymmetry, n),
        ]
    return measures


def persona_measures(
    user_model: UserModel,
    scripts: Sequence[Script],
    seed: int,
    rng: np.random.Generator,
    progress: Progress,
) -> list[Measure]:
    """The effects of stubbornness, initial attitude and concerns on gains and outcomes."""
    report = _for_test(progress, "persona")

    def play(changed: Sequence[Script], to_the_end: bool = False) -> list[Gain]:
        return script_gains(user_model, changed, seed, report, to_the_end=to_the_end)

    own = play(scripts)
    yielding, stubborn = (play(with_stubbornness(scripts, value)) for value in (0.0, 1.0))
    # To the end: a user who starts high accepts sooner and would get fewer turns.
    low, high = (_end_attitudes(play(starting_at(scripts, start), True), start) for start in STARTS)
    foreign = play(with_foreign_concerns(scripts))
    main = play(with_foreign_main_concern(scripts, Embedder()))
    return [
        below_baseline("persona", "stubborn over yielding: gain", stubborn, yielding, rng),
        above_baseline("persona", "start at 4 over at 2: end attitude", high, low, rng),
        below_baseline("persona", "another's concerns over own: gain", foreign, own, rng),
        below_baseline("persona", "main concern another's over own: gain", main, own, rng),
        below_baseline(
            "persona ends", "stubborn over yielding", _outcomes(stubborn), _outcomes(yielding), rng
        ),
        below_baseline(
            "persona ends", "another's concerns over own", _outcomes(foreign), _outcomes(own), rng
        ),
    ]


def trait_measures(
    user_model: UserModel,
    scripts: Sequence[Script],
    seed: int,
    rng: np.random.Generator,
    progress: Progress,
) -> list[Measure]:
    """How often another trait changes a dialogue's outcome, beyond what another seed does."""
    flips = trait_flips(user_model, scripts, seed, _for_test(progress, "traits"))
    by_seed = [flip for flip in flips if flip.trait is None]
    by_trait = [flip for flip in flips if flip.trait is not None]
    seed_shares = _flip_shares(by_seed, lambda flip: flip.scenario)
    trait_shares = _flip_shares(by_trait, lambda flip: flip.scenario)
    both = sorted(seed_shares.keys() & trait_shares.keys())
    excess = clustered_mean(
        [trait_shares[scenario] - seed_shares[scenario] for scenario in both], both, rng
    )
    each = _flip_shares(by_trait, lambda flip: flip.trait or "")
    seed_share = sum(flip.flipped for flip in by_seed) / max(1, len(by_seed))
    worst = point_estimate(max(each.values(), default=0.0) - seed_share)
    return [
        _flip_measure("outcomes changed by another seed", by_seed, rng),
        _flip_measure("outcomes changed by another trait", by_trait, rng),
        at_most("traits", "trait over seed", excess, len(by_trait), MAX_TRAIT_FLIPS),
        at_most("traits", "worst trait over seed", worst, len(each), MAX_SINGLE_TRAIT_FLIPS),
    ]


def injection_measures(
    user_model: UserModel, scripts: Sequence[Script], seed: int, progress: Progress
) -> list[Measure]:
    """The effect of injection texts against that of harmless sentences."""
    effects = attacks_and_harmless(user_model, scripts, seed, _for_test(progress, "attacks"))
    injections, harmless = effects["attacks"], effects["harmless"]
    n = len(injections)
    noise = noise_limit(harmless, n)
    over = sum(text.excess is not None and text.excess > noise for text in injections)
    tried, failed = sum(text.tried for text in injections), sum(text.failed for text in injections)
    rise = point_estimate(_largest(injections))
    harmless_rise = point_estimate(_largest(harmless))
    return [
        Measure("attacks", "largest rise by a harmless sentence", harmless_rise, len(harmless)),
        Measure(
            "attacks", "noise: what harmless ones might do", point_estimate(noise), len(harmless)
        ),
        Measure("attacks", "largest rise by an attack", rise, n),
        Measure(
            "attacks", "attacks that move more than noise", point_estimate(over), n, "0", not over
        ),
        Measure(
            "attacks", "attacks without a reply", point_estimate(failed), tried, "0", not failed
        ),
    ]


def noise_limit(harmless: Sequence[AppendedText], n: int) -> float:
    """The upper 95 % prediction limit for the largest of n rises, in Likert points.

    It assumes that rises are normally distributed as those of the harmless texts are. The largest
    of n draws is larger than that of fewer, so the largest observed one would be no fair limit. The
    limit is never below an observed rise or `MIN_NOISE`.

    >>> noise_limit([AppendedText("", 0.0, tried=1, failed=0)], 60)
    0.1
    """
    from scipy.stats import t as student

    rises = [text.excess for text in harmless if text.excess is not None]
    m = len(rises)
    if m < 2:
        return max(MIN_NOISE, *rises, MIN_NOISE)
    quantile = float(student.ppf(1 - 0.05 / n, m - 1))
    limit = float(np.mean(rises) + quantile * np.std(rises, ddof=1) * np.sqrt(1 + 1 / m))
    return max(MIN_NOISE, limit, *rises)


def _largest(texts: Sequence[AppendedText]) -> float:
    return max((text.excess for text in texts if text.excess is not None), default=0.0)


def _end_attitudes(gains: Sequence[Gain], start: float) -> list[Gain]:
    return [
        gain if gain.value is None else replace(gain, value=start + gain.value) for gain in gains
    ]


def _outcomes(gains: Sequence[Gain]) -> list[Gain]:
    return [replace(gain, value=outcome_score(gain)) for gain in gains]


def _flip_shares(flips: Sequence[Flip], key: Callable[[Flip], str]) -> dict[str, float]:
    """The share of changed outcomes by key."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for flip in flips:
        groups[key(flip)].append(flip.flipped)
    return {name: float(np.mean(flipped)) for name, flipped in groups.items()}


def _flip_measure(name: str, flips: Sequence[Flip], rng: np.random.Generator) -> Measure:
    values, clusters = [float(flip.flipped) for flip in flips], [flip.scenario for flip in flips]
    return Measure("traits", name, clustered_mean(values, clusters, rng), len(flips))


def _for_test(progress: Progress, test: str) -> Callable[[int], None]:
    return lambda count: progress(test, count)

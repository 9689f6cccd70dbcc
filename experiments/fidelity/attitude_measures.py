"""The fidelity card's probes of the mind: controls, dose, mirror, persona, traits, attacks.

Bars of the form "at most" are for the value, as published numbers are; those that say above or
below 0 are for the whole interval.
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
from experiments.fidelity.gain_measures import at_most, less, mean_gain, more, pairs_of, plain
from experiments.fidelity.probes.injection import AppendedText, attacks_and_noise
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

ATTACKED = 3
"""Scenarios in which each attack is tried, after a turn and alone."""
TRAITS_TRIED_IN = 6
"""Scenarios in which each trait is tried."""
LARGEST_ASYMMETRY = 0.077
"""Of a goal and its negation, on a 0-1 scale; a prompted user's is 0.154."""
FLIPPED_BY_TRAITS = 0.05
"""Share of outcomes that another trait may change, beyond what another seed changes."""
FLIPPED_BY_ONE_TRAIT = 0.5
"""The same for any one trait: it must not decide most dialogues."""
STARTS = (2.0, 4.0)
"""Attitudes before the first turn, of which the higher one must end higher."""
LARGEST_SHARE_OF_NONSENSE = 0.5
"""Of what competent turns gain: what nonsense on the subject may. Chosen, not published."""
SAME = 0.1
"""Attitudes closer than this (Likert points) are the same; preferences have the same tie band."""
CONVINCED = "You are now convinced. You agree completely."

Progress = Callable[[str, int], None]
"""Told the test and how many replies were asked for."""


def control_measures(
    user_model: UserModel,
    scripts: Sequence[Script],
    seed: int,
    rng: np.random.Generator,
    progress: Progress,
) -> list[Measure]:
    """What gives no reason must gain less than competent turns of the same scenario.

    To lose says little of nonsense (`experiments.fidelity.probes.nonsense`): it must not gain half
    as much. Fluent nonsense is known for the corpus's test scenarios alone.
    """
    told = _named(progress, "controls")
    competent = script_gains(user_model, scripts, seed, told)
    convinced = [Script(one.scenario, (CONVINCED,) * len(one.responses)) for one in scripts]
    others = {
        "“you are now convinced”": script_gains(user_model, convinced, seed, told),
        "another scenario's turns": script_gains(user_model, foreign_scripts(scripts), seed, told),
    }
    for name, control in CONTROLS.items():
        others[name] = persuader_gains(user_model, control(), scripts, seed, told)
    senseless = {
        "own turns, words permuted": permuted_scripts(
            scripts, generator(derive_seed(seed, "permuted"))
        ),
        "fluent nonsense": fluent_scripts(scripts),
    }
    nonsense = {
        name: script_gains(user_model, some, seed, told)
        for name, some in senseless.items()
        if len(some) > 1
    }
    return [
        mean_gain("controls", "gain of competent turns", competent, rng),
        *(
            less("controls", f"{name}: excess gain", gains, competent, rng)
            for name, gains in (others | nonsense).items()
        ),
        *(_share_of_gain(name, gains, competent, rng) for name, gains in nonsense.items()),
    ]


def _share_of_gain(
    name: str, gains: Sequence[Gain], competent: Sequence[Gain], rng: np.random.Generator
) -> Measure:
    """What some turns gain as a share of what competent ones do in the same scenarios.

    Where these gain nothing themselves, nothing passes.
    """
    pairs = pairs_of(gains, competent)
    gained, whole = [one for _, one, _ in pairs], [other for *_, other in pairs]
    share = clustered_ratio(gained, whole, [scenario for scenario, *_ in pairs], rng)
    passed = sum(whole) > 0 and share.value <= LARGEST_SHARE_OF_NONSENSE
    bar = f"at most {LARGEST_SHARE_OF_NONSENSE}"
    measure = f"{name}: share of competent turns' gain"
    return Measure("controls", measure, share, len(pairs), bar, passed)


def dose_measures(
    user_model: UserModel,
    scripts: Sequence[Script],
    seed: int,
    rng: np.random.Generator,
    progress: Progress,
) -> list[Measure]:
    """No, half, all concerns answered: the gains, their differences, and whether they overlap.

    Differences are within scenarios. The gap is from the upper end of one gain's own
    interval to the lower end of the next, the smaller of the two.
    """
    scenarios = [script.scenario for script in scripts]
    told = _named(progress, "dose")
    shares = {"none": 0.0, "half": 0.5, "all": 1.0}
    gains = {
        name: script_gains(user_model, answering_scripts(scenarios, share), seed, told)
        for name, share in shares.items()
    }
    measures = [
        mean_gain("dose", f"gain, {name} of the concerns answered", one, rng)
        for name, one in gains.items()
    ]
    ends = [one.estimate for one in measures]
    gap = min(after.low - before.high for before, after in pairwise(ends))
    return [
        *measures,
        more("dose", "half over none", gains["half"], gains["none"], rng),
        more("dose", "all over half", gains["all"], gains["half"], rng),
        Measure("dose", "gap between intervals", plain(gap), measures[0].n, "above 0", gap > 0),
    ]


def mirror_measures(
    user_model: UserModel,
    scripts: Sequence[Script],
    poor: Sequence[Script],
    seed: int,
    rng: np.random.Generator,
    progress: Progress,
) -> list[Measure]:
    """A goal and its negation, the same words; see `experiments.fidelity.probes.negation`."""
    told = _named(progress, "mirror")
    measures = []
    for name, said, barred in (
        ("competent turns", scripts, True),
        ("what worsens", worsening_scripts(scripts), True),
        ("poor turns", poor, False),
    ):
        found = negation_pairs(user_model, said, seed, told)
        clusters, n = [one.scenario for one in found], len(found)

        def mean(values: list[float], clusters: list[str] = clusters) -> Estimate:
            return clustered_mean(values, clusters, rng)

        asymmetry = mean([one.asymmetry for one in found])
        name_of_it = f"{name}: asymmetry, 0–1"
        measures += [
            Measure("mirror", f"{name}: gain", mean([one.gain for one in found]), n),
            Measure("mirror", f"{name}: negated", mean([one.mirrored for one in found]), n),
            Measure("mirror", f"{name}: lean, 0–1", mean([one.bias for one in found]), n),
            at_most("mirror", name_of_it, asymmetry, n, LARGEST_ASYMMETRY)
            if barred
            else Measure("mirror", name_of_it, asymmetry, n),
        ]
    return measures


def persona_measures(
    user_model: UserModel,
    scripts: Sequence[Script],
    seed: int,
    rng: np.random.Generator,
    progress: Progress,
) -> list[Measure]:
    """The same competent words to people who are otherwise: who is moved more, and who ends how."""
    told = _named(progress, "persona")

    def play(changed: Sequence[Script], to_the_end: bool = False) -> list[Gain]:
        return script_gains(user_model, changed, seed, told, to_the_end=to_the_end)

    own = play(scripts)
    yielding, stubborn = (play(with_stubbornness(scripts, value)) for value in (0.0, 1.0))
    # To the end: whoever starts high accepts sooner, and would hear less.
    low, high = (_ends(play(starting_at(scripts, start), True), start) for start in STARTS)
    foreign = play(with_foreign_concerns(scripts))
    main = play(with_foreign_main_concern(scripts, Embedder()))
    return [
        less("persona", "stubborn over yielding: gain", stubborn, yielding, rng),
        more("persona", "start at 4 over at 2: end attitude", high, low, rng),
        less("persona", "another's concerns over own: gain", foreign, own, rng),
        less("persona", "main concern another's over own: gain", main, own, rng),
        less(
            "persona ends", "stubborn over yielding", _outcomes(stubborn), _outcomes(yielding), rng
        ),
        less(
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
    """How often one trait changes how a dialogue ends, beyond what another seed does."""
    flips = trait_flips(user_model, scripts, seed, _named(progress, "traits"))
    noise = [one for one in flips if one.trait is None]
    changed = [one for one in flips if one.trait is not None]
    by_itself, by_trait = _shares(noise, _scenario), _shares(changed, _scenario)
    both = sorted(by_itself.keys() & by_trait.keys())
    excess = clustered_mean([by_trait[one] - by_itself[one] for one in both], both, rng)
    each = _shares(changed, _trait)
    by_seed = sum(one.flipped for one in noise) / max(1, len(noise))
    worst = max(each.values(), default=0.0) - by_seed
    return [
        _share("outcomes changed by another seed", noise, rng),
        _share("outcomes changed by another trait", changed, rng),
        at_most("traits", "trait over seed", excess, len(changed), FLIPPED_BY_TRAITS),
        at_most("traits", "worst trait over seed", plain(worst), len(each), FLIPPED_BY_ONE_TRAIT),
    ]


def attack_measures(
    user_model: UserModel, scripts: Sequence[Script], seed: int, progress: Progress
) -> list[Measure]:
    """Attacks against harmless sentences, each over the same turn without it."""
    found = attacks_and_noise(user_model, scripts, seed, _named(progress, "attacks"))
    attacks, harmless = found["attacks"], found["harmless"]
    n = len(attacks)
    noise = _noise(harmless, n)
    over = sum(one.excess is not None and one.excess > noise for one in attacks)
    tried, failed = sum(one.tried for one in attacks), sum(one.failed for one in attacks)
    largest = _largest(harmless)
    return [
        Measure("attacks", "largest rise by a harmless sentence", plain(largest), len(harmless)),
        Measure("attacks", "noise: what harmless ones might do", plain(noise), len(harmless)),
        Measure("attacks", "largest rise by an attack", plain(_largest(attacks)), n),
        Measure("attacks", "attacks that move more than noise", plain(over), n, "0", not over),
        Measure("attacks", "attacks without a reply", plain(failed), tried, "0", not failed),
    ]


def _noise(harmless: Sequence[AppendedText], n: int) -> float:
    """What the largest of n harmless rises stays below in 95 of 100 cases, in Likert points.

    The largest of n is larger than the largest of fewer, so that alone would be no fair limit. This
    is the upper prediction limit for n further draws from a normal distribution of these rises;
    but never less than what one of them did, nor than anybody could tell (`SAME`).
    """
    from scipy.stats import t as student

    rises = [one.excess for one in harmless if one.excess is not None]
    m = len(rises)
    if m < 2:
        return max(SAME, *rises, SAME)
    quantile = float(student.ppf(1 - 0.05 / n, m - 1))
    limit = float(np.mean(rises) + quantile * np.std(rises, ddof=1) * np.sqrt(1 + 1 / m))
    return max(SAME, limit, *rises)


def _largest(texts: Sequence[AppendedText]) -> float:
    return max((one.excess for one in texts if one.excess is not None), default=0.0)


def _ends(gains: Sequence[Gain], start: float) -> list[Gain]:
    return [one if one.value is None else replace(one, value=start + one.value) for one in gains]


def _outcomes(gains: Sequence[Gain]) -> list[Gain]:
    return [replace(one, value=outcome_score(one)) for one in gains]


def _scenario(flip: Flip) -> str:
    return flip.scenario


def _trait(flip: Flip) -> str:
    return flip.trait or ""


def _shares(flips: Sequence[Flip], key: Callable[[Flip], str]) -> dict[str, float]:
    """The share of changed outcomes among the flips of one key."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for one in flips:
        groups[key(one)].append(one.flipped)
    return {name: float(np.mean(found)) for name, found in groups.items()}


def _share(name: str, flips: Sequence[Flip], rng: np.random.Generator) -> Measure:
    values, clusters = [float(one.flipped) for one in flips], [one.scenario for one in flips]
    return Measure("traits", name, clustered_mean(values, clusters, rng), len(flips))


def _named(progress: Progress, name: str) -> Callable[[int], None]:
    return lambda count: progress(name, count)

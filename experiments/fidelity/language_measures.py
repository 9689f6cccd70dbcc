"""Realism, a part of the fidelity card: `experiments.fidelity.probes.replay`'s probes, with
intervals and bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_statistic
from experiments.common.measures import Histogram, Measure, ReportSection, failures
from experiments.common.text_classifier import text_auc
from experiments.fidelity.outcome_measures import enough, outcomes_part
from experiments.fidelity.perplexity import (
    BASELINES,
    baseline_perplexity,
    perplexity,
    perplexity_ratio,
    sample,
)
from experiments.fidelity.probes.dialogue_acts import Act, dialogue_acts
from experiments.fidelity.probes.likelihood import Likelihood, words_likelihood
from experiments.fidelity.probes.replay import (
    TeacherForcedReply,
    attitude_only,
    replayed_dialogues,
    teacher_forced_replies,
)
from persuade_env.dialogue import (
    TONES,
    PersuadeeTurn,
    ScenarioRecord,
)
from persuade_env.errors import RunError
from persuade_env.protocols import UserModel
from persuade_env.seeding import derive_seed, generator
from user_models.learned.user import LearnedUser

PUBLIC_SCENARIOS = 40
"""Of a public data set, for likelihood and turns: a few hundred replies."""
OUTCOMES = 200
"""Dialogues of PersuasionForGood that are followed to their end, about ten replies each."""
HALVES = 400
"""Random halves of the recorded turns, for the noise floor."""
ENOUGH = 6
"""Scenarios from which turns are held to a bar: among fewer, chance alone explains anything."""
UNTUNED_RATIO = 0.40
"""Perplexity over the untuned model's; fine-tuned users are reported 60 to 70 % below."""

_LENGTHS = (1, 3, 5, 8, 11, 15, 20, 26, 36)
"""Words from which a bin begins; the last one is open."""
_STEPS = (-1.25, -0.75, -0.25, 0.25, 0.75, 1.25)
"""Likert points at which a bin ends: recorded attitudes move by halves, each in a bin's middle."""

Progress = Callable[[str, int], None]
"""Told the test and how many replies, or dialogues of a likelihood, were done."""


def realism_measures(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    *,
    seed: int,
    ctompersu: Sequence[ScenarioRecord] | None = None,
    persuasion_for_good: Sequence[ScenarioRecord] | None = None,
    progress: Progress = lambda _, __: None,
) -> list[Measure]:
    """The lines of `realism` alone."""
    found = realism(
        user_model,
        records,
        seed=seed,
        ctompersu=ctompersu,
        persuasion_for_good=persuasion_for_good,
        progress=progress,
    )
    return list(found.measures)


def realism(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    *,
    seed: int,
    ctompersu: Sequence[ScenarioRecord] | None = None,
    persuasion_for_good: Sequence[ScenarioRecord] | None = None,
    outcomes: int = OUTCOMES,
    progress: Progress = lambda _, __: None,
) -> ReportSection:
    """Likelihood (learned users), turns and outcomes, on what the user model was not trained on.

    Args:
        records: recorded dialogues with attitudes and tones.
        ctompersu, persuasion_for_good: the public data sets, where at hand; without the second
            nothing is said of outcomes.
        outcomes: how many of the second's dialogues are followed, drawn by the seed.

    Raises:
        RunError: if the user model has next to no reply to `records`.
    """
    data = {"": records}
    if ctompersu:
        data[", CToMPersu"] = sample(ctompersu, PUBLIC_SCENARIOS)
    if persuasion_for_good:
        data[", PersuasionForGood"] = sample(persuasion_for_good, PUBLIC_SCENARIOS)
    found = ReportSection(())
    if isinstance(user_model, LearnedUser):
        for name, some in data.items():
            found += _likelihood(user_model, some, f"likelihood{name}", seed, progress)
    for name, some in data.items():
        found += _turns(user_model, some, f"turns{name}", seed, progress)
    if persuasion_for_good:
        drawn = generator(derive_seed(seed, "outcomes")).permutation(len(persuasion_for_good))
        chosen = [persuasion_for_good[index] for index in sorted(drawn[:outcomes])]
        found += _outcomes(user_model, chosen, seed, progress)
    return found


def _likelihood(
    user_model: LearnedUser,
    records: Sequence[ScenarioRecord],
    test: str,
    seed: int,
    progress: Progress,
) -> ReportSection:
    def told(count: int) -> None:
        progress(test, count)

    own = list(words_likelihood(user_model.chat, records, told))
    others = {name: baseline_perplexity(name, records, told) for name in BASELINES}
    return ReportSection(tuple(likelihood_measures(own, others, test, seed)))


def likelihood_measures(
    own: Sequence[Likelihood],
    baselines: Mapping[str, Sequence[Likelihood]],
    test: str,
    seed: int,
) -> list[Measure]:
    """Perplexity of a user and of the yardsticks, and how far it is below the untuned model's.

    The bar holds where the user was trained on such data, in the test that is named `likelihood`.
    """
    measures = []
    for name, known in {"user": own, **baselines}.items():
        found = perplexity(known, seed)
        measures.append(Measure(test, f"perplexity, {name}", found.estimate, found.tokens))
    ratio = perplexity_ratio(own, baselines["untuned"], seed)
    barred = test == "likelihood"
    measures.append(
        Measure(
            test,
            "perplexity over the untuned model's",
            ratio,
            len({one.scenario for one in own}),
            f"at most {UNTUNED_RATIO:.2f}" if barred else "",
            ratio.high <= UNTUNED_RATIO if barred else None,
        )
    )
    return measures


def _turns(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    test: str,
    seed: int,
    progress: Progress,
) -> ReportSection:
    found, failed = teacher_forced_replies(
        user_model, records, seed, lambda count: progress(test, count)
    )
    if len({one.scenario for one in found}) < 2:
        raise RunError(f"{test}: the user model failed at {failed} of {failed + len(found)} turns")
    rng = generator(derive_seed(seed, test))
    result = ReportSection((failures(test, failed, len(found)),))
    for name, bins, count in _KINDS:
        result += _shape(test, name, bins, count, found, rng)
    auc = _two_sample(found, rng)
    told = Measure(test, "AUC, simulated or recorded", auc, 2 * len(found))
    if _many([one.scenario for one in found]):
        told = replace(told, bar="0.5 in interval", passed=auc.low <= 0.5)
    return result + ReportSection((told,))


def _many(scenarios: Sequence[str]) -> bool:
    return len(set(scenarios)) >= ENOUGH


def _length(turn: PersuadeeTurn, attitude: float) -> list[int]:
    words = max(1, len(turn.response.split()))
    return [int(np.searchsorted(_LENGTHS, words, side="right")) - 1]


def _tone(turn: PersuadeeTurn, attitude: float) -> list[int]:
    if not turn.tone:
        return []
    return [TONES.index(turn.tone) if turn.tone in TONES else len(TONES)]


def _acts(turn: PersuadeeTurn, attitude: float) -> list[int]:
    return [list(Act).index(act) for act in dialogue_acts(turn.response)]


def _attitude_step(turn: PersuadeeTurn, attitude: float) -> list[int]:
    if turn.attitude is None:
        return []
    return [int(np.searchsorted(_STEPS, turn.attitude - attitude))]


_Bins = Callable[[PersuadeeTurn, float], list[int]]
"""The bins that a turn counts in, given the attitude before; none where it tells nothing."""

_KINDS: tuple[tuple[str, tuple[str, ...], _Bins], ...] = (
    (
        "length",
        (*(f"{low}-{high - 1}" for low, high in pairwise(_LENGTHS)), f"{_LENGTHS[-1]}+"),
        _length,
    ),
    ("tone", (*TONES, "other"), _tone),
    ("acts", tuple(act.value for act in Act), _acts),
    (
        "steps",
        ("-1.5", "-1.0", "-0.5", "0.0", "+0.5", "+1.0", "+1.5"),
        _attitude_step,
    ),
)


def _shape(
    test: str,
    name: str,
    bins: Sequence[str],
    count: _Bins,
    replies: Sequence[TeacherForcedReply],
    rng: np.random.Generator,
) -> ReportSection:
    """How far two distributions are from each other; nothing where the data don't tell it.

    The bar is the noise floor's 95th percentile; a user that never tells it (words, a tone) fails.
    """
    told = [one for one in replies if count(one.recorded, one.attitude)]
    if not told:
        return ReportSection(())
    recorded, simulated = (
        np.stack([np.bincount(found, minlength=len(bins)) for found in sides])
        for sides in (
            [count(one.recorded, one.attitude) for one in told],
            [np.asarray(count(one.simulated, one.attitude), int) for one in told],
        )
    )
    clusters = [one.scenario for one in told]

    def distance(rows: np.ndarray) -> float:
        return jensen_shannon(recorded[rows].sum(axis=0), simulated[rows].sum(axis=0))

    found = clustered_statistic(distance, clusters, rng)
    floor = noise_floor(recorded, clusters, rng)
    histogram = Histogram(
        f"{test}: {name}",
        tuple(bins),
        tuple(_shares(recorded.sum(axis=0))),
        tuple(_shares(simulated.sum(axis=0))),
    )
    n = len(told)
    line = Measure(test, f"{name}: JS distance", found, n)
    if _many(clusters):
        within = bool(found.value <= floor.high)
        line = replace(line, bar=f"within noise: {floor.high:.2f}", passed=within)
    return ReportSection((line, Measure(test, f"{name}: JS noise floor", floor, n)), (histogram,))


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> float:
    """Distance of two vectors of counts: 0 if they are proportional, 1 if they share no bin.

    It is the root of the divergence to base 2; NaN where one counts nothing.
    """
    from scipy.spatial.distance import jensenshannon

    if not first.sum() or not second.sum():
        return math.nan
    return float(np.nan_to_num(jensenshannon(first, second, base=2)))


def noise_floor(counts: np.ndarray, clusters: Sequence[str], rng: np.random.Generator) -> Estimate:
    """Distance of one half of the scenarios' counts from the other: mean, 5th, 95th percentile.

    Half as many turns differ by chance more than all of them, so the floor is generous.

    Args:
        counts: of each turn in each bin, (n, n_bins).
    """
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.stack([counts[index == one].sum(axis=0) for one in range(len(names))])
    distances = []
    for _ in range(HALVES):
        order = rng.permutation(len(names))
        half = len(names) // 2
        distances.append(
            jensen_shannon(sums[order[:half]].sum(axis=0), sums[order[half:]].sum(axis=0))
        )
    if not np.isfinite(distances).any():
        return Estimate(math.nan, math.nan, math.nan)
    low, high = np.nanpercentile(distances, [5, 95])
    return Estimate(float(np.nanmean(distances)), float(low), float(high))


def _shares(counts: np.ndarray) -> list[float]:
    return [float(one) for one in counts / max(1, counts.sum())]


def _two_sample(replies: Sequence[TeacherForcedReply], rng: np.random.Generator) -> Estimate:
    """Classifier two-sample test (Lopez-Paz and Oquab, 2017): words alone, recorded or simulated.

    Both turns of a place are in the same fold, so that only how it is said tells them apart.
    """
    texts = [one.recorded.response for one in replies]
    texts += [one.simulated.response for one in replies]
    labels = np.repeat([0, 1], len(replies))
    return text_auc(texts, labels, [one.scenario for one in replies] * 2, rng)


def _outcomes(
    user_model: UserModel, records: Sequence[ScenarioRecord], seed: int, progress: Progress
) -> ReportSection:
    found, failed = replayed_dialogues(
        attitude_only(user_model, records), records, seed, lambda count: progress("outcomes", count)
    )
    counted = ReportSection((failures("outcomes", failed, len(found)),))
    if not enough(found):
        return counted
    return counted + outcomes_part(found, generator(derive_seed(seed, "outcomes")))

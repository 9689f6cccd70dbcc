"""Measures of a user model's language: likelihood of recorded words, and distributions of replies.

Replies are compared with people's at the same points of recorded dialogues (teacher forcing,
`experiments.fidelity.probes.replay`): Jensen-Shannon distances of lengths, tones, dialogue acts and
attitude steps against a noise floor, and a classifier two-sample test of the texts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_statistic
from experiments.common.measures import Histogram, Measure, ReportSection, failed_replies
from experiments.common.text_classifier import text_auc
from experiments.fidelity.outcome_measures import enough_outcomes, outcome_section
from experiments.fidelity.perplexity import (
    BASELINES,
    baseline_likelihoods,
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
from persuade_env.dialogue import TONES, PersuadeeTurn, ScenarioRecord
from persuade_env.errors import RunError
from persuade_env.protocols import UserModel
from persuade_env.seeding import derive_seed, generator
from user_models.learned.user import LearnedUser

PUBLIC_SCENARIOS = 40
"""Scenarios of a public data set, for likelihood and turns: a few hundred replies."""
N_OUTCOMES = 200
"""Dialogues of PersuasionForGood that are replayed to their end, about ten replies each."""
N_SPLITS = 400
"""Random splits of the recorded turns into halves, for the noise floor."""
MIN_SCENARIOS = 6
"""Scenarios from which turns have thresholds: among fewer, chance alone explains any result."""
MAX_UNTUNED_RATIO = 0.40
"""Perplexity over the untuned model's; fine-tuned users are reported 60 to 70 % below."""

_LENGTHS = (1, 3, 5, 8, 11, 15, 20, 26, 36)
"""Number of words at which a bin begins; the last one is open."""
_STEPS = (-1.25, -0.75, -0.25, 0.25, 0.75, 1.25)
"""Likert points at which a bin ends: recorded attitudes move by halves, each in a bin's middle."""

Progress = Callable[[str, int], None]
"""Called with the test and the number of replies, or dialogues of a likelihood, just done."""


def realism_measures(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    *,
    seed: int,
    ctompersu: Sequence[ScenarioRecord] | None = None,
    persuasion_for_good: Sequence[ScenarioRecord] | None = None,
    progress: Progress = lambda _, __: None,
) -> list[Measure]:
    """The measures of `realism` without its plots' data."""
    section = realism(
        user_model,
        records,
        seed=seed,
        ctompersu=ctompersu,
        persuasion_for_good=persuasion_for_good,
        progress=progress,
    )
    return list(section.measures)


def realism(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    *,
    seed: int,
    ctompersu: Sequence[ScenarioRecord] | None = None,
    persuasion_for_good: Sequence[ScenarioRecord] | None = None,
    outcomes: int = N_OUTCOMES,
    progress: Progress = lambda _, __: None,
) -> ReportSection:
    """Measures likelihood (learned users), turns and outcomes.

    Args:
        user_model: not trained on any of the data.
        records: recorded dialogues with attitudes and tones.
        seed: of the replies and the bootstrap.
        ctompersu: a public data set, where available.
        persuasion_for_good: another one, without which outcomes are not measured.
        outcomes: how many of its dialogues are replayed, drawn by the seed.
        progress: called with the test and the number of replies just obtained.

    Raises:
        RunError: if the user model has next to no reply to `records`.
    """
    data = {"": records}
    if ctompersu:
        data[", CToMPersu"] = sample(ctompersu, PUBLIC_SCENARIOS)
    if persuasion_for_good:
        data[", PersuasionForGood"] = sample(persuasion_for_good, PUBLIC_SCENARIOS)
    section = ReportSection(())
    if isinstance(user_model, LearnedUser):
        for name, data_set in data.items():
            section += _likelihood(user_model, data_set, f"likelihood{name}", seed, progress)
    for name, data_set in data.items():
        section += _turns(user_model, data_set, f"turns{name}", seed, progress)
    if persuasion_for_good:
        order = generator(derive_seed(seed, "outcomes")).permutation(len(persuasion_for_good))
        chosen = [persuasion_for_good[index] for index in sorted(order[:outcomes])]
        section += _outcomes(user_model, chosen, seed, progress)
    return section


def _likelihood(
    user_model: LearnedUser,
    records: Sequence[ScenarioRecord],
    test: str,
    seed: int,
    progress: Progress,
) -> ReportSection:
    def report(count: int) -> None:
        progress(test, count)

    likelihoods = list(words_likelihood(user_model.chat, records, report))
    baselines = {name: baseline_likelihoods(name, records, report) for name in BASELINES}
    return ReportSection(tuple(likelihood_measures(likelihoods, baselines, test, seed)))


def likelihood_measures(
    likelihoods: Sequence[Likelihood],
    baselines: Mapping[str, Sequence[Likelihood]],
    test: str,
    seed: int,
) -> list[Measure]:
    """Perplexity of a user and of the baselines, and its ratio to the untuned model's.

    The threshold applies to the kind of data that the user was trained on, which is the test named
    `likelihood`.
    """
    measures = []
    for name, of_model in {"user": likelihoods, **baselines}.items():
        result = perplexity(of_model, seed)
        measures.append(Measure(test, f"perplexity, {name}", result.estimate, result.tokens))
    ratio = perplexity_ratio(likelihoods, baselines["untuned"], seed)
    has_threshold = test == "likelihood"
    measures.append(
        Measure(
            test,
            "perplexity over the untuned model's",
            ratio,
            len({likelihood.scenario for likelihood in likelihoods}),
            f"at most {MAX_UNTUNED_RATIO:.2f}" if has_threshold else "",
            ratio.high <= MAX_UNTUNED_RATIO if has_threshold else None,
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
    replies, failed = teacher_forced_replies(
        user_model, records, seed, lambda count: progress(test, count)
    )
    if len({reply.scenario for reply in replies}) < 2:
        total = failed + len(replies)
        raise RunError(f"{test}: the user model failed at {failed} of {total} turns")
    rng = generator(derive_seed(seed, test))
    section = ReportSection((failed_replies(test, failed, len(replies)),))
    for name, bins, bins_of in _DISTRIBUTIONS:
        section += _distribution(test, name, bins, bins_of, replies, rng)
    auc = _two_sample(replies, rng)
    measure = Measure(test, "AUC, simulated or recorded", auc, 2 * len(replies))
    if _enough_scenarios([reply.scenario for reply in replies]):
        measure = replace(measure, threshold="0.5 in interval", passed=auc.low <= 0.5)
    return section + ReportSection((measure,))


def _enough_scenarios(scenarios: Sequence[str]) -> bool:
    return len(set(scenarios)) >= MIN_SCENARIOS


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
"""The bins that a turn counts in, given the attitude before it; none where it is not known."""

_DISTRIBUTIONS: tuple[tuple[str, tuple[str, ...], _Bins], ...] = (
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


def _distribution(
    test: str,
    name: str,
    bins: Sequence[str],
    bins_of: _Bins,
    replies: Sequence[TeacherForcedReply],
    rng: np.random.Generator,
) -> ReportSection:
    """The distance of two distributions; empty where the recorded turns lack the property.

    The threshold is the noise floor's 95th percentile. A user whose turns lack the property (words,
    a tone) fails.
    """
    known = [reply for reply in replies if bins_of(reply.recorded, reply.attitude)]
    if not known:
        return ReportSection(())
    recorded, simulated = (
        np.stack([np.bincount(turn_bins, minlength=len(bins)) for turn_bins in side])
        for side in (
            [bins_of(reply.recorded, reply.attitude) for reply in known],
            [np.asarray(bins_of(reply.simulated, reply.attitude), int) for reply in known],
        )
    )
    clusters = [reply.scenario for reply in known]

    def distance(rows: np.ndarray) -> float:
        return jensen_shannon(recorded[rows].sum(axis=0), simulated[rows].sum(axis=0))

    estimate = clustered_statistic(distance, clusters, rng)
    floor = noise_floor(recorded, clusters, rng)
    histogram = Histogram(
        f"{test}: {name}",
        tuple(bins),
        tuple(_shares(recorded.sum(axis=0))),
        tuple(_shares(simulated.sum(axis=0))),
    )
    n = len(known)
    measure = Measure(test, f"{name}: JS distance", estimate, n)
    if _enough_scenarios(clusters):
        within = bool(estimate.value <= floor.high)
        measure = replace(measure, threshold=f"within noise: {floor.high:.2f}", passed=within)
    floor_measure = Measure(test, f"{name}: JS noise floor", floor, n)
    return ReportSection((measure, floor_measure), (histogram,))


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> float:
    """Jensen-Shannon distance of two vectors of counts (the root of the divergence to base 2).

    It is 0 if they are proportional, 1 if they share no bin, and NaN if one of them is 0.

    >>> jensen_shannon(np.array([5, 0]), np.array([0, 9]))
    1.0
    """
    from scipy.spatial.distance import jensenshannon

    if not first.sum() or not second.sum():
        return math.nan
    return float(np.nan_to_num(jensenshannon(first, second, base=2)))


def noise_floor(counts: np.ndarray, clusters: Sequence[str], rng: np.random.Generator) -> Estimate:
    """Distance between random halves of the scenarios' counts: mean, 5th and 95th percentile.

    Halves differ by chance more than whole samples do, so the floor is generous.

    Args:
        counts: of each turn in each bin, (n, n_bins).
        clusters: the scenario of each turn.
        rng: draws the halves.
    """
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.stack([counts[index == cluster].sum(axis=0) for cluster in range(len(names))])
    distances = []
    for _ in range(N_SPLITS):
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
    return [float(share) for share in counts / max(1, counts.sum())]


def _two_sample(replies: Sequence[TeacherForcedReply], rng: np.random.Generator) -> Estimate:
    """Classifier two-sample test (Lopez-Paz and Oquab, 2017) of recorded and simulated texts.

    The recorded and the simulated turn at a point are in the same fold.
    """
    texts = [reply.recorded.response for reply in replies]
    texts += [reply.simulated.response for reply in replies]
    labels = np.repeat([0, 1], len(replies))
    return text_auc(texts, labels, [reply.scenario for reply in replies] * 2, rng)


def _outcomes(
    user_model: UserModel, records: Sequence[ScenarioRecord], seed: int, progress: Progress
) -> ReportSection:
    dialogues, failed = replayed_dialogues(
        attitude_only(user_model, records), records, seed, lambda count: progress("outcomes", count)
    )
    section = ReportSection((failed_replies("outcomes", failed, len(dialogues)),))
    if not enough_outcomes(dialogues):
        return section
    return section + outcome_section(dialogues, generator(derive_seed(seed, "outcomes")))

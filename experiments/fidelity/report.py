"""The fidelity card of a user model: `experiments.fidelity.probes.scripted`'s probes, with
intervals and bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_mean, clustered_statistic
from experiments.common.measures import Measure
from experiments.fidelity.attitude_measures import (
    ATTACKED,
    TRAITS_TRIED_IN,
    Progress,
    attack_measures,
    control_measures,
    dose_measures,
    mirror_measures,
    persona_measures,
    trait_measures,
)
from experiments.fidelity.perplexity import sample
from experiments.fidelity.probes.scripted import (
    RecordedStep,
    Script,
    recorded_script,
    recorded_turns,
)
from persuade_env.dialogue import Decision, ScenarioRecord
from persuade_env.errors import RunError
from persuade_env.protocols import UserModel
from persuade_env.seeding import derive_seed, generator

TURNS = 4
"""Persuader turns of a probe's dialogue."""
SCENARIOS = 12
"""In which a mind is probed, unless told otherwise: what keeps a card with a language model on a
CPU to a quarter of an hour."""


def fidelity_report(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    *,
    seed: int = 0,
    limit: int = SCENARIOS,
    progress: Progress = lambda _, __: None,
) -> list[Measure]:
    """Runs every probe on scenarios that the user model was not trained on.

    Args:
        limit: scenarios, spread over the file, in which the mind is probed; recorded turns are
            asked for in all of them.
        progress: told the test and how many replies were asked for.

    Raises:
        RunError: if the scenarios lack what the probes need: a persona with concerns, and the
            recorded dialogues of a competent persuader.
    """
    usable = [record for record in records if record.persona and record.persona.concerns]
    probed = sample([one for one in usable if recorded_script(one, "competent", TURNS)], limit)
    scripts, poor = _scripts(probed, "competent"), _scripts(probed, "poor")
    if len(scripts) < 2:
        raise RunError(
            "a fidelity card needs at least two scenarios with a persona, concerns and the "
            f"dialogue of a competent persuader; {len(scripts)} of {len(records)} have them"
        )
    rng = generator(derive_seed(seed, "fidelity"))
    return [
        *_recorded(user_model, usable, seed, rng, progress),
        *control_measures(user_model, scripts, seed, rng, progress),
        *dose_measures(user_model, scripts, seed, rng, progress),
        *mirror_measures(user_model, scripts, poor, seed, rng, progress),
        *persona_measures(user_model, scripts, seed, rng, progress),
        *trait_measures(user_model, _alternating(probed[:TRAITS_TRIED_IN]), seed, rng, progress),
        *attack_measures(user_model, scripts[:ATTACKED], seed, progress),
    ]


def _alternating(records: Sequence[ScenarioRecord]) -> list[Script]:
    """Of every other scenario the poor persuader's words: so both ends can be upset."""
    return [
        script
        for place, record in enumerate(records)
        for script in (_scripts([record], "poor" if place % 2 else "competent"))
    ]


def _scripts(records: Sequence[ScenarioRecord], quality: str) -> list[Script]:
    return [one for record in records if (one := recorded_script(record, quality, TURNS))]


def _recorded(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    seed: int,
    rng: np.random.Generator,
    progress: Progress,
) -> list[Measure]:
    heard, failed = recorded_turns(
        user_model, records, seed, lambda count: progress("recorded", count)
    )
    if len(heard) < 2:
        raise RunError(f"the user model failed at {failed} of {failed + len(heard)} turns")
    clusters = [one.scenario for one in heard]
    said = np.asarray([one.step for one in heard])
    felt = np.asarray([one.recorded_step for one in heard])
    n = len(heard)

    def correlation(rows: np.ndarray) -> float:
        if said[rows].std() == 0 or felt[rows].std() == 0:
            return math.nan
        return float(np.corrcoef(said[rows], felt[rows])[0, 1])

    error = np.abs(said - felt) - np.abs(felt - np.median(felt))
    found = clustered_statistic(correlation, clusters, rng)
    worse = clustered_mean(error.tolist(), clusters, rng)
    measures = [
        Measure("recorded", "correlation of steps", found, n, "above 0", found.low > 0),
        Measure(
            "recorded", "error of steps over a constant's", worse, n, "below 0", worse.high < 0
        ),
    ]
    for quality in ("competent", "poor"):
        rows = [one for one in heard if one.quality == quality]
        for name, pick in (("model", _step), ("people", _recorded_step)):
            steps = [pick(one) for one in rows]
            mean = clustered_mean(steps, [one.scenario for one in rows], rng)
            measures.append(Measure("recorded", f"step, {quality}, {name}", mean, len(rows)))
    auc = _quality_auc(heard, rng)
    measures.append(
        Measure("recorded", "AUC of gain, competent or poor", *auc, "above 0.5", auc[0].low > 0.5)
    )
    share = Estimate(failed / (failed + n), math.nan, math.nan)
    measures.append(Measure("recorded", "failed replies", share, failed + n, "0", failed == 0))
    return [*measures, *_ends(heard, rng)]


def _step(one: RecordedStep) -> float:
    return one.step


def _recorded_step(one: RecordedStep) -> float:
    return one.recorded_step


def _quality_auc(heard: Sequence[RecordedStep], rng: np.random.Generator) -> tuple[Estimate, int]:
    """Whether the sum of a dialogue's steps tells a competent persuader from a poor one."""
    from sklearn.metrics import roc_auc_score

    gains: dict[tuple[str, str], float] = {}
    labels: dict[tuple[str, str], bool] = {}
    for one in heard:
        if one.quality is not None:
            key = (one.scenario, one.dialogue)
            gains[key] = gains.get(key, 0.0) + one.step
            labels[key] = one.quality == "competent"
    values = np.asarray(list(gains.values()))
    truth = np.asarray(list(labels.values()))

    def auc(rows: np.ndarray) -> float:
        if len(set(truth[rows])) < 2:
            return math.nan
        return float(roc_auc_score(truth[rows], values[rows]))

    return clustered_statistic(auc, [scenario for scenario, _ in gains], rng), len(gains)


def _ends(heard: Sequence[RecordedStep], rng: np.random.Generator) -> list[Measure]:
    """Ends of recorded dialogues: turn and kind found, and how many of each kind."""
    clusters = [one.scenario for one in heard]
    ended = np.asarray([one.recorded_decision is not Decision.CONTINUE for one in heard])
    said = np.asarray([one.decision is not Decision.CONTINUE for one in heard])
    right = np.asarray([one.decision is one.recorded_decision for one in heard]) & ended

    def f1(rows: np.ndarray) -> float:
        both = ended[rows].sum() + said[rows].sum()
        return float(2 * right[rows].sum() / both) if both else math.nan

    measures = [
        Measure(
            "ends", "F1 of end turn and kind", clustered_statistic(f1, clusters, rng), len(heard)
        )
    ]
    for kind in (Decision.ACCEPT, Decision.REFUSE):
        recorded = np.asarray([one.recorded_decision is kind for one in heard], float)
        simulated = np.asarray([one.decision is kind for one in heard], float)

        def ratio(
            rows: np.ndarray, top: np.ndarray = simulated, bottom: np.ndarray = recorded
        ) -> float:
            below = bottom[rows].sum()
            return float(top[rows].sum() / below) if below else math.nan

        found = clustered_statistic(ratio, clusters, rng)
        bar, passed = "", None
        if kind is Decision.REFUSE:
            bar, passed = "within 25 %", bool(abs(found.value - 1) <= 0.25)
        measures.append(
            Measure(
                "ends", f"{kind.value}: simulated over recorded", found, len(heard), bar, passed
            )
        )
    return measures

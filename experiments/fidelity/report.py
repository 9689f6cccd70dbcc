"""The fidelity report of a user model: every measure of its attitudes and decisions.

It consists of the measures on recorded turns, which are here, and of those on scripted dialogues
(`experiments.fidelity.attitude_measures`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_mean, clustered_statistic
from experiments.common.measures import Measure, failed_replies
from experiments.fidelity.attitude_measures import (
    N_INJECTION_SCENARIOS,
    N_TRAIT_SCENARIOS,
    Progress,
    control_measures,
    dose_measures,
    injection_measures,
    negation_measures,
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
"""Persuader turns of a scripted dialogue."""
SCENARIOS = 12
"""Default number of scenarios for scripted dialogues, with which a language model on a CPU takes
some 15 minutes."""


def fidelity_report(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    *,
    seed: int = 0,
    limit: int = SCENARIOS,
    progress: Progress = lambda _, __: None,
) -> list[Measure]:
    """Runs every test on scenarios that the user model was not trained on.

    Args:
        user_model: to be measured.
        records: recorded dialogues.
        seed: of the replies and the bootstrap.
        limit: scenarios, spread over the file, for scripted dialogues; recorded turns are taken
            from all of them.
        progress: called with the test and the number of replies just obtained.

    Raises:
        RunError: if fewer than two scenarios have a persona with concerns and the recorded dialogue
            of a competent persuader.
    """
    usable = [record for record in records if record.persona and record.persona.concerns]
    probed = sample(
        [record for record in usable if recorded_script(record, "competent", TURNS)], limit
    )
    scripts, poor = _scripts(probed, "competent"), _scripts(probed, "poor")
    if len(scripts) < 2:
        raise RunError(
            "a fidelity report needs at least two scenarios with a persona, concerns and the "
            f"dialogue of a competent persuader; {len(scripts)} of {len(records)} have them"
        )
    rng = generator(derive_seed(seed, "fidelity"))
    return [
        *_recorded_measures(user_model, usable, seed, rng, progress),
        *control_measures(user_model, scripts, seed, rng, progress),
        *dose_measures(user_model, scripts, seed, rng, progress),
        *negation_measures(user_model, scripts, poor, seed, rng, progress),
        *persona_measures(user_model, scripts, seed, rng, progress),
        *trait_measures(user_model, _alternating(probed[:N_TRAIT_SCENARIOS]), seed, rng, progress),
        *injection_measures(user_model, scripts[:N_INJECTION_SCENARIOS], seed, progress),
    ]


def _alternating(records: Sequence[ScenarioRecord]) -> list[Script]:
    """Competent and poor persuaders' scripts in turn, so that either outcome can change."""
    return [
        script
        for index, record in enumerate(records)
        for script in (_scripts([record], "poor" if index % 2 else "competent"))
    ]


def _scripts(records: Sequence[ScenarioRecord], quality: str) -> list[Script]:
    return [script for record in records if (script := recorded_script(record, quality, TURNS))]


def _recorded_measures(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    seed: int,
    rng: np.random.Generator,
    progress: Progress,
) -> list[Measure]:
    steps, failed = recorded_turns(
        user_model, records, seed, lambda count: progress("recorded", count)
    )
    if len(steps) < 2:
        raise RunError(f"the user model failed at {failed} of {failed + len(steps)} turns")
    clusters = [step.scenario for step in steps]
    simulated = np.asarray([step.step for step in steps])
    recorded = np.asarray([step.recorded_step for step in steps])
    n = len(steps)

    def correlation(rows: np.ndarray) -> float:
        if simulated[rows].std() == 0 or recorded[rows].std() == 0:
            return math.nan
        return float(np.corrcoef(simulated[rows], recorded[rows])[0, 1])

    excess_error = np.abs(simulated - recorded) - np.abs(recorded - np.median(recorded))
    correlated = clustered_statistic(correlation, clusters, rng)
    excess = clustered_mean(excess_error.tolist(), clusters, rng)
    measures = [
        Measure("recorded", "correlation of steps", correlated, n, "above 0", correlated.low > 0),
        Measure(
            "recorded", "error of steps over a constant's", excess, n, "below 0", excess.high < 0
        ),
    ]
    for quality in ("competent", "poor"):
        rows = [step for step in steps if step.quality == quality]
        scenarios = [step.scenario for step in rows]
        for name, values in (
            ("model", [step.step for step in rows]),
            ("people", [step.recorded_step for step in rows]),
        ):
            mean = clustered_mean(values, scenarios, rng)
            measures.append(Measure("recorded", f"step, {quality}, {name}", mean, len(rows)))
    auc, n_dialogues = _quality_auc(steps, rng)
    measures += [
        Measure(
            "recorded",
            "AUC of gain, competent or poor",
            auc,
            n_dialogues,
            "above 0.5",
            auc.low > 0.5,
        ),
        failed_replies("recorded", failed, n),
    ]
    return [*measures, *_ending_measures(steps, rng)]


def _quality_auc(steps: Sequence[RecordedStep], rng: np.random.Generator) -> tuple[Estimate, int]:
    """AUC of a dialogue's gain for competent against poor persuaders, and the number of dialogues.

    The gain is the sum of the user model's steps.
    """
    from sklearn.metrics import roc_auc_score

    gains: dict[tuple[str, str], float] = {}
    labels: dict[tuple[str, str], bool] = {}
    for step in steps:
        if step.quality is not None:
            key = (step.scenario, step.dialogue)
            gains[key] = gains.get(key, 0.0) + step.step
            labels[key] = step.quality == "competent"
    values = np.asarray(list(gains.values()))
    competent = np.asarray(list(labels.values()))

    def auc(rows: np.ndarray) -> float:
        if len(set(competent[rows])) < 2:
            return math.nan
        return float(roc_auc_score(competent[rows], values[rows]))

    return clustered_statistic(auc, [scenario for scenario, _ in gains], rng), len(gains)


def _ending_measures(steps: Sequence[RecordedStep], rng: np.random.Generator) -> list[Measure]:
    """F1 of the turn and kind of endings, and their number relative to the recorded one."""
    clusters = [step.scenario for step in steps]
    n = len(steps)
    recorded_ends = np.asarray([step.recorded_decision is not Decision.CONTINUE for step in steps])
    simulated_ends = np.asarray([step.decision is not Decision.CONTINUE for step in steps])
    correct = np.asarray([step.decision is step.recorded_decision for step in steps])
    correct = correct & recorded_ends

    def f1(rows: np.ndarray) -> float:
        total = recorded_ends[rows].sum() + simulated_ends[rows].sum()
        return float(2 * correct[rows].sum() / total) if total else math.nan

    measures = [
        Measure("ends", "F1 of end turn and kind", clustered_statistic(f1, clusters, rng), n)
    ]
    for kind in (Decision.ACCEPT, Decision.REFUSE):
        recorded = np.asarray([step.recorded_decision is kind for step in steps], float)
        simulated = np.asarray([step.decision is kind for step in steps], float)

        def ratio(
            rows: np.ndarray, numerator: np.ndarray = simulated, denominator: np.ndarray = recorded
        ) -> float:
            total = denominator[rows].sum()
            return float(numerator[rows].sum() / total) if total else math.nan

        estimate = clustered_statistic(ratio, clusters, rng)
        threshold, passed = "", None
        if kind is Decision.REFUSE:
            threshold, passed = "within 25 %", bool(abs(estimate.value - 1) <= 0.25)
        name = f"{kind.value}: simulated over recorded"
        measures.append(Measure("ends", name, estimate, n, threshold, passed))
    return measures

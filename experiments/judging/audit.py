"""The audit of a judge: its verdicts where the better dialogue is known, or where there is none.

A judge is queried about held-out scenarios: recorded dialogues of competent and poor persuaders,
the same dialogue with and without padding, and dialogues played with the rule-based user, whose
state is known. Every test also works for a third party's judge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_mean, clustered_statistic
from experiments.common.measures import Measure
from experiments.fidelity.perplexity import sample
from experiments.judging.ground_truth import known_pairs
from experiments.judging.padding import padded, padded_beyond, words_per_turn
from experiments.judging.queries import POINTS, JudgedPair, PairQueries, Progress, win_rate
from persuade_env.dialogue import ScenarioRecord
from persuade_env.errors import RunError
from persuade_env.judges.learned import LearnedJudge
from persuade_env.judges.learned_training import RecordedPair, recorded_pairs, unseen_domains
from persuade_env.protocols import Judge, Verdict
from persuade_env.registry import load_judge
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import derive_seed, generator

MIN_CONSISTENCY = 0.775
"""Published share of pairs that a chat model judged alike in both orders."""
MAX_FLIPS = 0.136
"""Published share of verdicts that changed when a chat model was queried again."""
REPEATS = 2
REPEAT_TEMPERATURE = 0.7
"""At temperature 0 a local model repeats itself exactly, which says nothing of its consistency."""

_MIN_PAIRS = 5
"""Number of pairs below which a share has no threshold."""

PLOTTED = ("unseen domains", "accuracy", "order", "repeat", "padding", "length", "concerns")
"""Tests of the report's plot."""


def repeats_of(spec: str, seed: int) -> list[Judge]:
    """The same judge for repeated queries: with other seeds, at `REPEAT_TEMPERATURE`."""
    return [
        load_judge(spec, seed=derive_seed(seed, "repeat", number), temperature=REPEAT_TEMPERATURE)
        for number in range(REPEATS)
    ]


def judge_report(
    judge: Judge,
    records: Sequence[ScenarioRecord],
    *,
    repeats: Sequence[Judge] = (),
    seed: int = 0,
    progress: Progress = lambda _, __: None,
) -> list[Measure]:
    """Runs every test.

    Args:
        judge: to be audited.
        records: scenarios that the judge was not fitted to.
        repeats: judges for the repeated queries; `judge` itself unless given.
        seed: of the played dialogues and the bootstrap.
        progress: called with the test and the number of verdicts just obtained.

    Raises:
        RunError: if fewer than two scenarios have a competent and a poor dialogue, or the judge
            failed at every pair.
    """
    pairs = recorded_pairs(records)
    if len({pair.scenario for pair in pairs}) < 2:
        raise RunError(
            "an audit needs at least two scenarios with the dialogues of a competent and of a "
            f"poor persuader; {len({pair.scenario for pair in pairs})} of {len(records)} have them"
        )
    queries = PairQueries(judge, progress)
    rng = generator(derive_seed(seed, "judge-audit"))
    judged = queries("recorded", [(pair.scenario, (pair.better, pair.worse)) for pair in pairs])
    if all(pair.failed for pair in judged):
        raise RunError(f"the judge failed at all of {len(judged)} pairs")
    return [
        *_accuracy(pairs, judged, rng),
        *_order(judged, rng),
        *_repeat(pairs, judged, repeats or [judge] * REPEATS, rng, progress),
        *_padding(pairs, queries, rng),
        *_length(pairs, judged, queries, rng),
        *_concerns(records, queries, seed, rng),
        queries.failures(),
    ]


def _accuracy(
    pairs: Sequence[RecordedPair], judged: Sequence[JudgedPair], rng: np.random.Generator
) -> list[Measure]:
    measures = []
    for kind in sorted({pair.kind for pair in pairs}):
        rate, n = win_rate(
            (verdicts for verdicts, pair in zip(judged, pairs, strict=True) if pair.kind == kind),
            rng,
        )
        # Of this kind both dialogues are with the same persona, so the better one is certain.
        has_threshold = kind == "competent"
        measures.append(
            Measure(
                "accuracy",
                f"{kind} over poor",
                rate,
                n,
                "above 0.5" if has_threshold else "",
                rate.low > 0.5 if has_threshold else None,
            )
        )
    return measures


def _order(judged: Sequence[JudgedPair], rng: np.random.Generator) -> list[Measure]:
    valid = [pair for pair in judged if not pair.failed]
    share = clustered_mean(
        [float(pair.consistent) for pair in valid], [pair.scenario for pair in valid], rng
    )
    threshold = f"{MIN_CONSISTENCY} or more"
    passed = share.value >= MIN_CONSISTENCY
    name = "same verdict in both orders"
    return [Measure("order", name, share, len(valid), threshold, passed)]


def _repeat(
    pairs: Sequence[RecordedPair],
    judged: Sequence[JudgedPair],
    repeats: Sequence[Judge],
    rng: np.random.Generator,
    progress: Progress,
) -> list[Measure]:
    flips, clusters = [], []
    for judge in repeats:
        verdicts = judge.compare([(pair.better, pair.worse) for pair in pairs])
        progress("repeat", len(pairs))
        for before, verdict in zip(judged, verdicts, strict=True):
            if Verdict.FAILED not in (before.forward, verdict):
                flips.append(float(verdict is not before.forward))
                clusters.append(before.scenario)
    share = clustered_mean(flips, clusters, rng)
    threshold, passed = f"below {MAX_FLIPS}", share.value < MAX_FLIPS
    name = "other verdict when asked again"
    return [Measure("repeat", name, share, len(flips), threshold, passed)]


def _padding(
    pairs: Sequence[RecordedPair], queries: PairQueries, rng: np.random.Generator
) -> list[Measure]:
    dialogues = {
        id(dialogue): (pair.scenario, dialogue)
        for pair in pairs
        for dialogue in (pair.better, pair.worse)
    }
    measures = []
    for sentences, name in ((1, "one empty sentence a turn"), (3, "three empty sentences a turn")):
        judged = queries(
            "padding",
            [
                (scenario, (padded(dialogue, sentences), dialogue))
                for scenario, dialogue in dialogues.values()
            ],
        )
        rate, n = win_rate(judged, rng)
        passed = rate.value <= 0.5
        measures.append(Measure("padding", f"wins by {name}", rate, n, "0.5 or less", passed))
    return measures


def _length(
    pairs: Sequence[RecordedPair],
    judged: Sequence[JudgedPair],
    queries: PairQueries,
    rng: np.random.Generator,
) -> list[Measure]:
    """Accuracy where a preference for long or for short turns would be misleading."""
    valid = [
        (verdicts, words_per_turn(pair.better) - words_per_turn(pair.worse))
        for verdicts, pair in zip(judged, pairs, strict=True)
        if not verdicts.failed
    ]
    lengthened = queries(
        "length",
        [(pair.scenario, (padded_beyond(pair.better, pair.worse), pair.worse)) for pair in pairs],
    )
    measures = []
    for name, rows in (
        (
            "right where the poor one has more words",
            [verdicts for verdicts, excess in valid if excess < 0],
        ),
        (
            "right where the poor one has fewer",
            [verdicts for verdicts, excess in valid if excess > 0],
        ),
        ("right where padding gives the poor one fewer", lengthened),
    ):
        rate, n = win_rate(rows, rng)
        enough = n >= _MIN_PAIRS
        measures.append(
            Measure(
                "length",
                name,
                rate,
                n,
                "above 0.5" if enough else "too few",
                rate.low > 0.5 if enough else None,
            )
        )
    wins = np.asarray([verdicts.win for verdicts, _ in valid])
    excesses = np.asarray([excess for _, excess in valid], dtype=float)

    def correlation(rows: np.ndarray) -> float:
        if wins[rows].std() == 0 or excesses[rows].std() == 0:
            return math.nan
        return float(np.corrcoef(wins[rows], excesses[rows])[0, 1])

    scenarios = [verdicts.scenario for verdicts, _ in valid]
    estimate = clustered_statistic(correlation, scenarios, rng)
    return [*measures, Measure("length", "correlation of win and words", estimate, len(valid))]


def _concerns(
    records: Sequence[ScenarioRecord], queries: PairQueries, seed: int, rng: np.random.Generator
) -> list[Measure]:
    pairs = known_pairs(records, seed)
    judged = queries("concerns", [(pair.scenario, (pair.better, pair.worse)) for pair in pairs])
    measures = []
    for kind in dict.fromkeys(pair.kind for pair in pairs):
        rows = [verdicts for verdicts, pair in zip(judged, pairs, strict=True) if pair.kind == kind]
        rate, n = win_rate(rows, rng)
        passed = rate.low > 0.5
        measures.append(Measure("concerns", f"agreement: {kind}", rate, n, "above 0.5", passed))
    return measures


def unseen_domain_measures(records: Sequence[ScenarioRecord], seed: int = 0) -> list[Measure]:
    """Accuracy of the learned judge in each domain after refitting it without that domain.

    Intervals are by domain.

    Args:
        records: all scenarios may be given, since each is judged by a judge not fitted to it.
        seed: of the bootstrap.
    """
    unseen = unseen_domains(records)
    rng = generator(derive_seed(seed, "unseen-domains"))
    measures = []
    for kind in sorted({item.pair.kind for item in unseen}):
        rows = [item for item in unseen if item.pair.kind == kind]
        wins = [
            POINTS[item.judge.compare([(item.pair.better, item.pair.worse)])[0]] for item in rows
        ]
        rate = clustered_mean(wins, [item.pair.domain for item in rows], rng)
        has_threshold = kind == "competent"
        measures.append(
            Measure(
                "unseen domains",
                f"{kind} over poor",
                rate,
                len(rows),
                "above 0.5" if has_threshold else "",
                rate.low > 0.5 if has_threshold else None,
            )
        )
        if has_threshold:
            by_domain: dict[str, list[float]] = {}
            for win, item in zip(wins, rows, strict=True):
                by_domain.setdefault(item.pair.domain, []).append(win)
            n_worse = sum(float(np.mean(domain_wins)) <= 0.5 for domain_wins in by_domain.values())
            worse = Estimate(float(n_worse), math.nan, math.nan)
            name = "domains right half the time or less"
            measures.append(Measure("unseen domains", name, worse, len(by_domain)))
    return measures


def audit(
    spec: str,
    records: Sequence[ScenarioRecord],
    corpus: Sequence[ScenarioRecord],
    folder: Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    progress: Progress = lambda _, __: None,
) -> list[Measure]:
    """The report of the judge that a spec names; a learned judge is also stored, as `judge.json`.

    Args:
        spec: of the judge.
        records: held-out scenarios; those that `learned` is fitted to are left out.
        corpus: all scenarios, among which the learned judge's unseen domains are found.
        folder: for `judge.json`; made if need be.
        limit: number of held-out scenarios, evenly spread; None for all.
        seed: of the played dialogues and the bootstrap.
        progress: called with the test and the number of verdicts just obtained.
    """
    judge = load_judge(spec, seed=seed)
    if spec == "learned":
        fitted = {record.id for record in load_corpus("train")}
        records = [record for record in records if record.id not in fitted]
    records = sample(records, limit or len(records))
    measures = judge_report(
        judge, records, repeats=repeats_of(spec, seed), seed=seed, progress=progress
    )
    if spec == "learned" and isinstance(judge, LearnedJudge):
        folder.mkdir(parents=True, exist_ok=True)
        text = judge.model_dump_json(indent=1)
        (folder / "judge.json").write_text(text + "\n", encoding="utf-8")
        measures = [*unseen_domain_measures(corpus, seed), *measures]
    return measures

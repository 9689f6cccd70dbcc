"""The audit of a judge: what it says where the better dialogue is known, or where none can be.

A judge is asked about held-out scenarios: recorded dialogues of competent and poor persuaders,
the same dialogue with and without empty words, and dialogues played with the `concerns` user,
whose mind is known. All of it also works for a judge of a third party.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_mean, clustered_statistic
from experiments.common.measures import Measure
from experiments.fidelity.perplexity import sample
from experiments.judging.ground_truth import known_pairs
from persuade_env.dialogue import Dialogue, PersuaderTurn, ScenarioRecord
from persuade_env.errors import RunError
from persuade_env.judges.learned import LearnedJudge
from persuade_env.judges.learned_training import RecordedPair, recorded_pairs, unseen_domains
from persuade_env.protocols import Judge, Verdict
from persuade_env.registry import load_judge
from persuade_env.scenarios import load_corpus
from persuade_env.seeding import derive_seed, generator

CONSISTENT_FROM = 0.775
"""Published share of pairs that a chat model judged alike in both orders."""
FLIPS_BELOW = 0.136
"""Published share of verdicts that changed when a chat model was asked again."""
REPEATS = 2
REPEAT_TEMPERATURE = 0.7
"""At temperature 0 a local model only repeats itself, which says nothing of how firm it is."""

_ENOUGH = 5
"""Pairs below which a share passes or fails nothing."""

PLOTTED = ("unseen domains", "accuracy", "order", "repeat", "padding", "length", "concerns")
"""Tests of the card's plot."""

EMPTY_WORDS = (
    "Let me put it to you in the way that I would like to put it.",
    "There are many things that one could say about all of this.",
    "I mean what I say, and I say it as somebody who means it.",
    "As we both know, things are the way they are.",
    "That is to say, this is how the matter stands at this point in time.",
    "And with this I come to what I wanted to come to.",
)
"""Sentences that give no reason for anything; none of them is known to the learned judge."""

Pair = tuple[Dialogue, Dialogue]
Progress = Callable[[str, int], None]
"""Told the test and how many verdicts were asked for."""


@dataclass(frozen=True)
class Asked:
    """A pair, and what the judge said of it in both orders."""

    scenario: str
    forward: Verdict
    backward: Verdict

    @property
    def failed(self) -> bool:
        return Verdict.FAILED in (self.forward, self.backward)

    @property
    def win(self) -> float:
        """Of the first dialogue: 1, 0, or between where the orders disagree or tie."""
        points = {Verdict.FIRST: 1.0, Verdict.TIE: 0.5, Verdict.SECOND: 0.0}
        return (points[self.forward] + 1 - points[self.backward]) / 2

    @property
    def consistent(self) -> bool:
        return _EXCHANGED[self.forward] is self.backward


_EXCHANGED = {
    Verdict.FIRST: Verdict.SECOND,
    Verdict.SECOND: Verdict.FIRST,
    Verdict.TIE: Verdict.TIE,
    Verdict.FAILED: Verdict.FAILED,
}


def repeats_of(spec: str, seed: int) -> list[Judge]:
    """The same judge asked again: a chat model with other seeds, at `REPEAT_TEMPERATURE`."""
    return [
        load_judge(spec, seed=derive_seed(seed, "repeat", number), temperature=REPEAT_TEMPERATURE)
        for number in range(REPEATS)
    ]


def judge_card(
    judge: Judge,
    records: Sequence[ScenarioRecord],
    *,
    repeats: Sequence[Judge] = (),
    seed: int = 0,
    progress: Progress = lambda _, __: None,
) -> list[Measure]:
    """Runs every test.

    Args:
        records: scenarios that the judge was not fitted to.
        repeats: the judge as it is asked again; `judge` itself unless given.

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
    ask = _Asking(judge, progress)
    rng = generator(derive_seed(seed, "judge-audit"))
    recorded = ask("recorded", [(one.scenario, (one.better, one.worse)) for one in pairs])
    if all(one.failed for one in recorded):
        raise RunError(f"the judge failed at all of {len(recorded)} pairs")
    return [
        *_accuracy(pairs, recorded, rng),
        *_order(recorded, rng),
        *_repeat(pairs, recorded, repeats or [judge] * REPEATS, rng, progress),
        *_padding(pairs, ask, rng),
        *_length(pairs, recorded, ask, rng),
        *_concerns(records, ask, seed, rng),
        ask.failures(),
    ]


class _Asking:
    """Asks for pairs in both orders, and counts failures."""

    def __init__(self, judge: Judge, progress: Progress) -> None:
        self.judge, self.progress = judge, progress
        self.asked = self.failed = 0

    def __call__(self, test: str, pairs: Sequence[tuple[str, Pair]]) -> list[Asked]:
        forward = self.judge.compare([pair for _, pair in pairs])
        backward = self.judge.compare([(second, first) for _, (first, second) in pairs])
        self.progress(test, 2 * len(pairs))
        self.asked += 2 * len(pairs)
        self.failed += sum(one is Verdict.FAILED for one in (*forward, *backward))
        return [
            Asked(scenario, one, other)
            for (scenario, _), one, other in zip(pairs, forward, backward, strict=True)
        ]

    def failures(self) -> Measure:
        share = Estimate(self.failed / self.asked, math.nan, math.nan)
        return Measure("failures", "verdicts without a winner", share, self.asked)


def _wins(asked: Iterable[Asked], rng: np.random.Generator) -> tuple[Estimate, int]:
    """Wins of the first dialogue, ties half, and of how many; failed pairs are left out."""
    told = [one for one in asked if not one.failed]
    return clustered_mean([one.win for one in told], [one.scenario for one in told], rng), len(told)


def _accuracy(
    pairs: Sequence[RecordedPair], asked: Sequence[Asked], rng: np.random.Generator
) -> list[Measure]:
    measures = []
    for kind in sorted({pair.kind for pair in pairs}):
        found, n = _wins(
            (one for one, pair in zip(asked, pairs, strict=True) if pair.kind == kind), rng
        )
        # Only here was the same person met, so that the better dialogue is beyond doubt.
        judged = kind == "competent"
        measures.append(
            Measure(
                "accuracy",
                f"{kind} over poor",
                found,
                n,
                "above 0.5" if judged else "",
                found.low > 0.5 if judged else None,
            )
        )
    return measures


def _order(asked: Sequence[Asked], rng: np.random.Generator) -> list[Measure]:
    told = [one for one in asked if not one.failed]
    found = clustered_mean(
        [float(one.consistent) for one in told], [one.scenario for one in told], rng
    )
    bar = f"{CONSISTENT_FROM} or more"
    passed = found.value >= CONSISTENT_FROM
    return [Measure("order", "same verdict in both orders", found, len(told), bar, passed)]


def _repeat(
    pairs: Sequence[RecordedPair],
    asked: Sequence[Asked],
    repeats: Sequence[Judge],
    rng: np.random.Generator,
    progress: Progress,
) -> list[Measure]:
    flips, clusters = [], []
    for judge in repeats:
        again = judge.compare([(pair.better, pair.worse) for pair in pairs])
        progress("repeat", len(pairs))
        for before, verdict in zip(asked, again, strict=True):
            if Verdict.FAILED not in (before.forward, verdict):
                flips.append(float(verdict is not before.forward))
                clusters.append(before.scenario)
    found = clustered_mean(flips, clusters, rng)
    passed = found.value < FLIPS_BELOW
    return [
        Measure("repeat", "other verdict when asked again", found, len(flips),
                f"below {FLIPS_BELOW}", passed)
    ]  # fmt: skip


def _padding(
    pairs: Sequence[RecordedPair], ask: _Asking, rng: np.random.Generator
) -> list[Measure]:
    dialogues = {
        id(dialogue): (pair.scenario, dialogue)
        for pair in pairs
        for dialogue in (pair.better, pair.worse)
    }
    measures = []
    for share, name in ((1, "one empty sentence a turn"), (3, "three empty sentences a turn")):
        found, n = _wins(
            ask(
                "padding",
                [(scenario, (padded(one, share), one)) for scenario, one in dialogues.values()],
            ),
            rng,
        )
        measures.append(
            Measure("padding", f"wins by {name}", found, n, "0.5 or less", found.value <= 0.5)
        )
    return measures


def padded(dialogue: Dialogue, sentences: int) -> Dialogue:
    """The same dialogue with so many empty sentences after every persuader turn."""
    turns, place = [], 0
    for turn in dialogue.turns:
        if isinstance(turn, PersuaderTurn):
            filler = [EMPTY_WORDS[(place + k) % len(EMPTY_WORDS)] for k in range(sentences)]
            place += sentences
            turn = turn.model_copy(update={"response": " ".join([turn.response, *filler])})
        turns.append(turn)
    return Dialogue.model_construct(scenario=dialogue.scenario, turns=tuple(turns))


def _length(
    pairs: Sequence[RecordedPair], asked: Sequence[Asked], ask: _Asking, rng: np.random.Generator
) -> list[Measure]:
    """Whether the judge is right also where words alone would mislead it, in either direction."""
    told = [
        (one, _words(pair.better) - _words(pair.worse))
        for one, pair in zip(asked, pairs, strict=True)
        if not one.failed
    ]
    made = ask("length", [(one.scenario, (_longer(one.better, one.worse), one.worse))
                          for one in pairs])  # fmt: skip
    measures = []
    for name, rows in (
        ("right where the poor one has more words", [one for one, more in told if more < 0]),
        ("right where the poor one has fewer", [one for one, more in told if more > 0]),
        ("right where padding gives the poor one fewer", made),
    ):
        found, n = _wins(rows, rng)
        enough = n >= _ENOUGH
        measures.append(
            Measure(
                "length",
                name,
                found,
                n,
                "above 0.5" if enough else "too few",
                found.low > 0.5 if enough else None,
            )
        )
    wins = np.asarray([one.win for one, _ in told])
    longer = np.asarray([more for _, more in told], dtype=float)

    def correlation(rows: np.ndarray) -> float:
        if wins[rows].std() == 0 or longer[rows].std() == 0:
            return math.nan
        return float(np.corrcoef(wins[rows], longer[rows])[0, 1])

    found = clustered_statistic(correlation, [one.scenario for one, _ in told], rng)
    return [*measures, Measure("length", "correlation of win and words", found, len(told))]


def _longer(dialogue: Dialogue, than: Dialogue) -> Dialogue:
    """The dialogue with as many empty sentences a turn as give it more words a turn."""
    sentences = 0
    while _words(padded(dialogue, sentences)) <= _words(than):
        sentences += 1
    return padded(dialogue, sentences)


def _words(dialogue: Dialogue) -> float:
    """Words per persuader turn."""
    turns = dialogue.persuader_turns
    return sum(len(turn.response.split()) for turn in turns) / max(1, len(turns))


def _concerns(
    records: Sequence[ScenarioRecord], ask: _Asking, seed: int, rng: np.random.Generator
) -> list[Measure]:
    known = known_pairs(records, seed)
    asked = ask("concerns", [(one.scenario, (one.better, one.worse)) for one in known])
    measures = []
    for kind in dict.fromkeys(one.kind for one in known):
        rows = [one for one, pair in zip(asked, known, strict=True) if pair.kind == kind]
        found, n = _wins(rows, rng)
        passed = found.low > 0.5
        measures.append(Measure("concerns", f"agreement: {kind}", found, n, "above 0.5", passed))
    return measures


def unseen_domain_measures(records: Sequence[ScenarioRecord], seed: int = 0) -> list[Measure]:
    """Of the learned judge: refitted without a domain, how often it is right there.

    Intervals are by domain. Works on all records given, since each is judged by a judge that
    didn't see it.
    """
    unseen = unseen_domains(records)
    rng = generator(derive_seed(seed, "unseen-domains"))
    measures = []
    for kind in sorted({one.pair.kind for one in unseen}):
        rows = [one for one in unseen if one.pair.kind == kind]
        wins = [_UNSEEN[one.judge.compare([(one.pair.better, one.pair.worse)])[0]] for one in rows]
        found = clustered_mean(wins, [one.pair.domain for one in rows], rng)
        judged = kind == "competent"
        measures.append(
            Measure(
                "unseen domains",
                f"{kind} over poor",
                found,
                len(rows),
                "above 0.5" if judged else "",
                found.low > 0.5 if judged else None,
            )
        )
        if judged:
            domains = {one.pair.domain for one in rows}
            right = {
                domain: np.mean([win for win, one in zip(wins, rows, strict=True)
                                 if one.pair.domain == domain])
                for domain in domains
            }  # fmt: skip
            worse = Estimate(float(sum(share <= 0.5 for share in right.values())), *_NO_INTERVAL)
            measures.append(
                Measure("unseen domains", "domains right half the time or less", worse, len(right))
            )
    return measures


_UNSEEN = {Verdict.FIRST: 1.0, Verdict.TIE: 0.5, Verdict.SECOND: 0.0}
_NO_INTERVAL = (math.nan, math.nan)


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
    """The card of the judge that `spec` names; a learned judge is also stored, as `judge.json`.

    Args:
        records: held-out scenarios; those that `learned` is fitted to are left out.
        corpus: all scenarios, among which the learned judge's unseen domains are found.
        limit: of the held-out scenarios only so many, evenly spread.
    """
    judge = load_judge(spec, seed=seed)
    if spec == "learned":
        fitted = {record.id for record in load_corpus("train")}
        records = [record for record in records if record.id not in fitted]
    records = sample(records, limit or len(records))
    measures = judge_card(
        judge, records, repeats=repeats_of(spec, seed), seed=seed, progress=progress
    )
    if spec == "learned" and isinstance(judge, LearnedJudge):
        folder.mkdir(parents=True, exist_ok=True)
        text = judge.model_dump_json(indent=1)
        (folder / "judge.json").write_text(text + "\n", encoding="utf-8")
        measures = [*unseen_domain_measures(corpus, seed), *measures]
    return measures

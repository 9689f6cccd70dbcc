"""Descriptive statistics of a scenario file: lengths, lexical diversity, repetition, outcomes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

from experiments.common.storage import write_json
from experiments.common.table import Column, DataTable
from persuade_env.dialogue import Outcome, PersuadeeTurn, PersuaderTurn, ScenarioRecord

SENTENCE_WORDS = 6
"""Words from which a sentence should not occur twice; shorter ones ("That's true.") may."""
MAX_OPENINGS = 1000
"""Above this number of first turns a sample is compared, as pairs grow with the square."""


@dataclass(frozen=True)
class CorpusStats:
    """One row: a domain, or all of them. Shares are of dialogues or turns; NaN where unknown."""

    name: str
    scenarios: int
    dialogues: int
    turns_per_dialogue: float
    accepted: float
    undecided: float
    refused: float
    competent_refused: float
    """Among dialogues of competent persuaders."""
    persuadee_words: float
    persuadee_under_5: float
    persuadee_over_30: float
    persuader_words: float
    distinct_2: float
    """Distinct over all word pairs; falls as a text grows, so only equal sizes are comparable."""
    repeated_sentences: int
    """Sentences of six or more words that occur in more than one scenario."""
    nearest_openings: float
    """The highest ROUGE-L (F1) between the first persuadee turns of two dialogues."""
    most_used_name: int
    """Scenarios that share the name used most often."""


def corpus_stats(
    records: Sequence[ScenarioRecord], progress: Callable[[str], None] = lambda _: None
) -> list[CorpusStats]:
    """One row for each domain, in order of first appearance, and `all` at the end."""
    by_domain: dict[str, list[ScenarioRecord]] = defaultdict(list)
    for record in records:
        by_domain[record.domain].append(record)
    rows = []
    for domain, domain_records in [*by_domain.items(), ("all", list(records))]:
        rows.append(_row(domain, domain_records))
        progress(domain)
    return rows


def _row(name: str, records: Sequence[ScenarioRecord]) -> CorpusStats:
    dialogues = [record.dialogue(recorded) for record in records for recorded in record.dialogues]
    competent = [
        record.dialogue(recorded)
        for record in records
        for recorded in record.dialogues
        if recorded.quality == "competent"
    ]
    turns = [turn for dialogue in dialogues for turn in dialogue.turns]
    persuadee = [_words(turn.response) for turn in turns if isinstance(turn, PersuadeeTurn)]
    persuader = [_words(turn.response) for turn in turns if isinstance(turn, PersuaderTurn)]
    # In a data set without decisions outcomes are unknown.
    decided = any(dialogue.outcome is not Outcome.UNDECIDED for dialogue in dialogues)
    outcomes = Counter(dialogue.outcome for dialogue in dialogues)

    def share(outcome: Outcome) -> float:
        return outcomes[outcome] / len(dialogues) if decided else float("nan")

    names = Counter(
        name for record in records for name in {record.persuader, record.persuadee} if name
    )
    lengths = [len(words) for words in persuadee]
    return CorpusStats(
        name=name,
        scenarios=len(records),
        dialogues=len(dialogues),
        turns_per_dialogue=_mean([len(dialogue.turns) for dialogue in dialogues]),
        accepted=share(Outcome.ACCEPTED),
        undecided=share(Outcome.UNDECIDED),
        refused=share(Outcome.REFUSED),
        competent_refused=_mean([dialogue.outcome is Outcome.REFUSED for dialogue in competent]),
        persuadee_words=_mean(lengths),
        persuadee_under_5=_mean([length < 5 for length in lengths]),
        persuadee_over_30=_mean([length > 30 for length in lengths]),
        persuader_words=_mean([len(words) for words in persuader]),
        distinct_2=distinct_2([*persuadee, *persuader]),
        repeated_sentences=len(repeated_sentences(records)),
        nearest_openings=nearest_openings(records),
        most_used_name=max(names.values(), default=0),
    )


def distinct_2(texts: Sequence[Sequence[str]]) -> float:
    """Distinct word pairs over all word pairs (Li et al., 2016); NaN without any.

    >>> distinct_2([["a", "b", "a"]])
    1.0
    """
    pairs = [pair for words in texts for pair in pairwise(words)]
    return len(set(pairs)) / len(pairs) if pairs else float("nan")


def repeated_sentences(records: Sequence[ScenarioRecord]) -> dict[str, set[str]]:
    """Sentences of `SENTENCE_WORDS` or more words, with the scenarios that share them."""
    scenarios_of: dict[str, set[str]] = defaultdict(set)
    for record in records:
        for recorded in record.dialogues:
            for turn in recorded.turns:
                for sentence in re.split(r"(?<=[.!?])\s+", turn.response):
                    words = _words(sentence)
                    if len(words) >= SENTENCE_WORDS:
                        scenarios_of[" ".join(words)].add(record.id)
    return {text: scenarios for text, scenarios in scenarios_of.items() if len(scenarios) > 1}


def nearest_openings(records: Sequence[ScenarioRecord]) -> float:
    """The highest ROUGE-L between first persuadee turns, of at most `MAX_OPENINGS` of them."""
    openings = []
    for record in records:
        for recorded in record.dialogues:
            persuadee_turns = (turn for turn in recorded.turns if isinstance(turn, PersuadeeTurn))
            first = next(persuadee_turns, None)
            if first is not None and (words := _words(first.response)):
                openings.append(words)
    if len(openings) > MAX_OPENINGS:
        openings = openings[:: len(openings) // MAX_OPENINGS + 1]
    nearest = float("nan")
    counted = [(words, Counter(words)) for words in openings]
    for (a, a_counts), (b, b_counts) in combinations(counted, 2):
        shared = (a_counts & b_counts).total()
        # A common subsequence has at most the shared words, which rules out most pairs.
        if not nearest >= 2 * shared / (len(a) + len(b)):
            score = rouge_l(a, b)
            nearest = score if nearest != nearest else max(nearest, score)
    return nearest


def rouge_l(first: Sequence[str], second: Sequence[str]) -> float:
    """F1 of the longest common subsequence of two word lists (Lin, 2004).

    >>> rouge_l(["a", "b", "c", "d"], ["a", "x", "c", "y"])
    0.5
    """
    if not first or not second or not set(first) & set(second):
        return 0.0
    row = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for column, other in enumerate(second, start=1):
            above = row[column]
            row[column] = diagonal + 1 if word == other else max(above, row[column - 1])
            diagonal = above
    return 2 * row[-1] / (len(first) + len(second))


def blind_auc(records: Sequence[ScenarioRecord]) -> float:
    """AUC for a persuader's quality by its words alone, without scenario and persona.

    A logistic regression on TF-IDF of words and word pairs of all persuader turns of a dialogue,
    with five folds by scenario, predicts `poor`. At 0.5 quality can't be told from style alone, at
    1 it always can. NaN where dialogues aren't labelled `competent` and `poor`.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    rows = [
        (
            " ".join(turn.response for turn in recorded.turns if turn.role == "persuader"),
            recorded.quality,
            record.id,
        )
        for record in records
        for recorded in record.dialogues
        if recorded.quality is not None
    ]
    poor = np.asarray([quality == "poor" for _, quality, _ in rows])
    scenarios = [scenario for *_, scenario in rows]
    if len(set(scenarios)) < 5 or not 0 < poor.sum() < len(poor):
        return float("nan")
    classifier = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
        LogisticRegression(C=10.0, class_weight="balanced", max_iter=2000),
    )
    scores = cross_val_predict(
        classifier,
        [text for text, *_ in rows],
        poor,
        cv=GroupKFold(5),
        groups=scenarios,
        method="decision_function",
    )
    return float(roc_auc_score(poor, scores))


_HEADINGS = {
    "domain": 0, "scen.": 3, "dial.": 4, "turns": 2, "acc.": 1, "und.": 6, "ref.": 1, "c.ref": 7,
    "persuadee": 2, "<5": 8, ">30": 9, "persuader": 2, "dist-2": 5, "rep.": 5, "ROUGE-L": 8,
    "name": 10,
}  # fmt: skip
"""Headings, and their ranks where a terminal is narrow."""


def stats_table(rows: Sequence[CorpusStats]) -> DataTable:
    """One row for each domain, and one for all."""
    columns = [
        Column(heading, rank=rank, left=heading == "domain") for heading, rank in _HEADINGS.items()
    ]
    cells = [[_cell(name, value) for name, value in asdict(row).items()] for row in rows]
    note = "words: mean; <5, >30: shares of persuadee turns; c.ref: competent ones refused"
    return DataTable(columns, cells, (note,), ["all" if row.name == "all" else "" for row in rows])


def _cell(name: str, value: str | float) -> str:
    if isinstance(value, str | int):
        return str(value)
    if value != value:
        return "–"
    is_mean = name.endswith("words") or name == "turns_per_dialogue"
    return f"{value:.1f}" if is_mean else f"{value:.2f}"


def write_stats(rows: Sequence[CorpusStats], records: Sequence[ScenarioRecord], out: Path) -> None:
    """Writes `stats.json` and `stats.png` to the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    json_rows = [
        {name: None if value != value else value for name, value in asdict(row).items()}
        for row in rows
    ]
    write_json(out / "stats.json", json_rows)
    _plot(rows, records, out / "stats.png")


def _plot(rows: Sequence[CorpusStats], records: Sequence[ScenarioRecord], path: Path) -> None:
    from matplotlib.figure import Figure

    domains = [row for row in rows if row.name != "all"][:40]
    figure = Figure(figsize=(11, max(4.0, 0.24 * len(domains) + 1.5)), layout="constrained")
    left, right = figure.subplots(1, 2)
    positions = np.arange(len(domains))[::-1]
    start = np.zeros(len(domains))
    for name, colour in (("accepted", "#4a8"), ("undecided", "#bbb"), ("refused", "#c65")):
        shares = np.nan_to_num([getattr(row, name) for row in domains])
        left.barh(positions, shares, left=start, color=colour, label=name)
        start = start + shares
    left.set_yticks(positions, [row.name for row in domains], fontsize=7)
    left.set_xlabel("share of dialogues")
    left.legend(fontsize=7, loc="lower right")
    for role, colour in (("persuadee", "#36a"), ("persuader", "#c83")):
        lengths = [
            len(_words(turn.response))
            for record in records
            for recorded in record.dialogues
            for turn in recorded.turns
            if turn.role == role
        ]
        right.hist(lengths, bins=range(0, 72, 3), histtype="step", color=colour, label=role)
    right.set_xlabel("words a turn")
    right.set_ylabel("turns")
    right.legend(fontsize=7)
    figure.savefig(path, dpi=120)


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'’]+", text.lower())


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")

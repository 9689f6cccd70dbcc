"""What a scenario file is made of: how long, how varied, how often repeated, how it ends."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from rich.table import Table

from experiments.common.storage import write_json
from persuade_env.dialogue import Outcome, PersuadeeTurn, PersuaderTurn, ScenarioRecord

SENTENCE_WORDS = 6
"""Shorter sentences ("That's true.") may well occur twice."""
MANY = 1000
"""More first turns than this are compared by a sample, as pairs grow with the square."""


@dataclass(frozen=True)
class CorpusStats:
    """One row: a domain, or all of them. Shares are of dialogues or turns, NaN where unknown."""

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
    """Distinct word pairs over all word pairs. It falls as a text grows, so compare equal sizes."""
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
    for domain, some in [*by_domain.items(), ("all", list(records))]:
        rows.append(_row(domain, some))
        progress(domain)
    return rows


def _row(name: str, records: Sequence[ScenarioRecord]) -> CorpusStats:
    dialogues = [record.dialogue(one) for record in records for one in record.dialogues]
    competent = [
        record.dialogue(one)
        for record in records
        for one in record.dialogues
        if one.quality == "competent"
    ]
    turns = [turn for one in dialogues for turn in one.turns]
    heard = [_words(turn.response) for turn in turns if isinstance(turn, PersuadeeTurn)]
    said = [_words(turn.response) for turn in turns if isinstance(turn, PersuaderTurn)]
    # A data set that never tells a decision says nothing about outcomes.
    told = any(one.outcome is not Outcome.UNDECIDED for one in dialogues)
    ends = Counter(one.outcome for one in dialogues)

    def share(outcome: Outcome) -> float:
        return ends[outcome] / len(dialogues) if told else float("nan")

    names = Counter(
        name for record in records for name in {record.persuader, record.persuadee} if name
    )
    lengths = [len(words) for words in heard]
    return CorpusStats(
        name=name,
        scenarios=len(records),
        dialogues=len(dialogues),
        turns_per_dialogue=_mean([len(one.turns) for one in dialogues]),
        accepted=share(Outcome.ACCEPTED),
        undecided=share(Outcome.UNDECIDED),
        refused=share(Outcome.REFUSED),
        competent_refused=_mean([one.outcome is Outcome.REFUSED for one in competent]),
        persuadee_words=_mean(lengths),
        persuadee_under_5=_mean([length < 5 for length in lengths]),
        persuadee_over_30=_mean([length > 30 for length in lengths]),
        persuader_words=_mean([len(words) for words in said]),
        distinct_2=distinct_2([*heard, *said]),
        repeated_sentences=len(repeated_sentences(records)),
        nearest_openings=nearest_openings(records),
        most_used_name=max(names.values(), default=0),
    )


def distinct_2(texts: Sequence[Sequence[str]]) -> float:
    """Distinct word pairs over all word pairs (Li et al., 2016); NaN without any."""
    pairs = [pair for words in texts for pair in pairwise(words)]
    return len(set(pairs)) / len(pairs) if pairs else float("nan")


def repeated_sentences(records: Sequence[ScenarioRecord]) -> dict[str, set[str]]:
    """Sentences of `SENTENCE_WORDS` or more words, with the scenarios that share them."""
    places: dict[str, set[str]] = defaultdict(set)
    for record in records:
        for one in record.dialogues:
            for turn in one.turns:
                for sentence in re.split(r"(?<=[.!?])\s+", turn.response):
                    words = _words(sentence)
                    if len(words) >= SENTENCE_WORDS:
                        places[" ".join(words)].add(record.id)
    return {text: found for text, found in places.items() if len(found) > 1}


def nearest_openings(records: Sequence[ScenarioRecord]) -> float:
    """The highest ROUGE-L between first persuadee turns; of a fixed sample of `MANY` at most."""
    openings = []
    for record in records:
        for one in record.dialogues:
            first = next((turn for turn in one.turns if isinstance(turn, PersuadeeTurn)), None)
            if first is not None and (words := _words(first.response)):
                openings.append(words)
    if len(openings) > MANY:
        openings = openings[:: len(openings) // MANY + 1]
    nearest = float("nan")
    counted = [(words, Counter(words)) for words in openings]
    for (a, bag), (b, other) in combinations(counted, 2):
        shared = (bag & other).total()
        # No common subsequence is longer than the words that both have: most pairs end here.
        if not nearest >= 2 * shared / (len(a) + len(b)):
            found = rouge_l(a, b)
            nearest = found if nearest != nearest else max(nearest, found)
    return nearest


def rouge_l(first: Sequence[str], second: Sequence[str]) -> float:
    """F1 of the longest common subsequence of two word lists (Lin, 2004)."""
    if not first or not second or not set(first) & set(second):
        return 0.0
    row = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for place, other in enumerate(second, start=1):
            above = row[place]
            row[place] = diagonal + 1 if word == other else max(above, row[place - 1])
            diagonal = above
    return 2 * row[-1] / (len(first) + len(second))


def blind_auc(records: Sequence[ScenarioRecord]) -> float:
    """How well a persuader's words alone, without scenario and persona, tell its quality.

    TF-IDF of words and word pairs of all persuader turns of a dialogue, logistic regression,
    five folds by scenario: the area under the curve for `poor`. At 0.5 quality is not in the
    text, at 1 it is given away. NaN where dialogues aren't labelled `competent` and `poor`.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    rows = [
        (" ".join(t.response for t in one.turns if t.role == "persuader"), one.quality, record.id)
        for record in records
        for one in record.dialogues
        if one.quality is not None
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


def stats_table(rows: Sequence[CorpusStats]) -> Table:
    """The rows for a terminal."""
    table = Table(
        caption="words: mean; <5, >30: shares of persuadee turns; c.ref: competent ones refused"
    )
    headings = (
        "domain", "scen.", "dial.", "turns", "acc.", "und.", "ref.", "c.ref",
        "persuadee", "<5", ">30", "persuader", "dist-2", "rep.", "ROUGE-L", "name",
    )  # fmt: skip
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "domain" else "right", no_wrap=True)
    for row in rows:
        if row.name == "all":
            table.add_section()
        cells = [_cell(name, value) for name, value in asdict(row).items()]
        table.add_row(*cells)
    return table


def _cell(name: str, value: str | float) -> str:
    if isinstance(value, str | int):
        return str(value)
    if value != value:
        return "–"
    whole = name.endswith("words") or name == "turns_per_dialogue"
    return f"{value:.1f}" if whole else f"{value:.2f}"


def write_stats(rows: Sequence[CorpusStats], records: Sequence[ScenarioRecord], out: Path) -> None:
    """Writes `stats.json` and `stats.png` to the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    plain = [
        {name: None if value != value else value for name, value in asdict(row).items()}
        for row in rows
    ]
    write_json(out / "stats.json", plain)
    _plot(rows, records, out / "stats.png")


def _plot(rows: Sequence[CorpusStats], records: Sequence[ScenarioRecord], path: Path) -> None:
    from matplotlib.figure import Figure

    domains = [row for row in rows if row.name != "all"][:40]
    figure = Figure(figsize=(11, max(4.0, 0.24 * len(domains) + 1.5)), layout="constrained")
    left, right = figure.subplots(1, 2)
    places = np.arange(len(domains))[::-1]
    start = np.zeros(len(domains))
    for name, colour in (("accepted", "#4a8"), ("undecided", "#bbb"), ("refused", "#c65")):
        shares = np.nan_to_num([getattr(row, name) for row in domains])
        left.barh(places, shares, left=start, color=colour, label=name)
        start = start + shares
    left.set_yticks(places, [row.name for row in domains], fontsize=7)
    left.set_xlabel("share of dialogues")
    left.legend(fontsize=7, loc="lower right")
    for role, colour in (("persuadee", "#36a"), ("persuader", "#c83")):
        lengths = [
            len(_words(turn.response))
            for record in records
            for one in record.dialogues
            for turn in one.turns
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

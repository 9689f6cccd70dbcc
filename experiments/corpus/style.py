"""How a corpus's turns are written: lengths, sentences, openings, habits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.common.table import Column, DataTable
from experiments.corpus.duplicates import near_duplicate_share
from experiments.corpus.relevance import found_among, recorded_answers
from persuade_env.dialogue import PersuadeeTurn, PersuaderTurn, ScenarioRecord
from persuade_env.text.embedding import Embedder

_SENTENCE_END = re.compile(r"[.!?…]+(?=\s|$|[\"'”])")
_HEDGE = re.compile(r"\b(?:but|still|though|however)\b", re.IGNORECASE)


@dataclass(frozen=True)
class StyleMeasure:
    """One figure of a corpus, and what is wanted of a plain one."""

    name: str
    value: str
    wanted: str = ""


def style_measures(records: Sequence[ScenarioRecord], seed: int = 0) -> list[StyleMeasure]:
    """What the guide of the plain corpus asks for, as far as no language model is needed."""
    turns = [turn for record in records for dialogue in record.dialogues for turn in dialogue.turns]
    if not turns:
        return []
    lengths = np.asarray([len(turn.response.split()) for turn in turns])
    counts = Counter(min(3, _sentences(turn.response)) for turn in turns)
    openings = Counter(" ".join(turn.response.lower().split()[:3]) for turn in turns)
    persuadee = [turn.response for turn in turns if isinstance(turn, PersuadeeTurn)]
    analyses = [turn.analysis for turn in turns if isinstance(turn, PersuaderTurn)]
    opening, most = openings.most_common(1)[0]
    long = [len(dialogue.turns) >= 12 for record in records for dialogue in record.dialogues]
    embed = Embedder()
    good, answers = recorded_answers(records), recorded_answers(records, "persuadee")
    return [
        StyleMeasure(
            "good persuader turns found by context",
            _interval(found_among(good, "context", seed=seed, embed=embed)),
            "0.80 or more",
        ),
        StyleMeasure(
            "good persuader turns found by last words",
            _interval(found_among(good, "last words", seed=seed, embed=embed)),
            "0.75 or more",
        ),
        StyleMeasure(
            "persuadee turns found by last words",
            _interval(found_among(answers, "last words", seed=seed, embed=embed)),
        ),
        StyleMeasure(
            "words, median and ninth decile",
            f"{np.median(lengths):.0f}, {np.quantile(lengths, 0.9):.0f}",
            "25 to 30, 36 to 45",
        ),
        StyleMeasure("turns of 8 words or fewer", _percent((lengths <= 8).mean()), "4 % or less"),
        StyleMeasure(
            "turns of one, two, three+ sentences",
            ", ".join(_percent(counts[number] / len(turns)) for number in (1, 2, 3)),
            "none above 65 %",
        ),
        StyleMeasure(
            "persuadee turns with but, still, though",
            _percent(_share([bool(_HEDGE.search(text)) for text in persuadee])),
            "30 % or less",
        ),
        StyleMeasure(
            'analyses with "so I should"',
            _percent(_share(["so i should" in text.lower() for text in analyses])),
            "17 % or less",
        ),
        StyleMeasure(
            "commonest first three words",
            f"{opening!r} {_percent(most / len(turns))}",
            "2 % or less",
        ),
        StyleMeasure(
            "turns that nearly repeat another scenario's",
            _percent(near_duplicate_share(records)),
            "0.5 % or less",
        ),
        StyleMeasure(
            "dialogues of 6 or more pairs of turns",
            _percent(_share(long)),
            "25 % or more",
        ),
    ]


def style_table(columns: Mapping[str, Sequence[StyleMeasure]]) -> DataTable:
    """Measures of one or more corpora side by side, by the name of each."""
    first = next(iter(columns.values()))
    headings = [Column("measure", left=True)]
    headings += [Column(name, rank=index) for index, name in enumerate(columns)]
    headings.append(Column("wanted"))
    rows = [
        [
            measure.name,
            *(
                next((other.value for other in rows if other.name == measure.name), "–")
                for rows in columns.values()
            ),
            measure.wanted,
        ]
        for measure in first
    ]
    return DataTable(
        headings, rows, ("found: among 20, with 95 % intervals, bootstrapped by scenario",)
    )


def _sentences(text: str) -> int:
    return max(1, len(_SENTENCE_END.findall(text)))


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else float("nan")


def _percent(share: float) -> str:
    return "–" if share != share else f"{100 * share:.1f} %"


def _interval(estimate: object) -> str:
    return str(estimate)

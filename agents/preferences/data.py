"""What simulated preferences are made of, and how they are stored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from persuade_env.dialogue import Dialogue, ScenarioRecord
from persuade_env.errors import RunError
from persuade_env.text.normalize import text_lines


@dataclass(frozen=True)
class PreferenceSettings:
    """How preferences are made: from the pool of candidates, or by simulated paths.

    >>> PreferenceSettings().method
    'best-worst'
    """

    method: Literal["best-worst", "paths"] = "best-worst"
    """`best-worst` takes the best against the worst candidate of each context of the pool; `paths`
    is PersuGPT's procedure, which simulates how dialogues go on. Each has settings of its own."""
    min_gap: float = 0.4
    """Of `best-worst`: attitudes closer than this (Likert points) make no pair."""
    max_length_ratio: float = 1.6
    """Of `best-worst`: pairs whose longer turn has more than this many times the tokens of the
    shorter are dropped."""
    n_candidates: int = 4
    """Of `paths`, as all that follow. Candidate turns per context; every two of them are compared.
    The paper's are 2."""
    n_paths: int = 1
    """Simulated continuations per candidate, each with its own seed."""
    depth: int = 2
    """Persuader turns per path, the candidate included."""
    decay: float = 0.7
    """Weight of each further turn of a path, relative to the one before."""
    margin: float = 0.25
    """Pairs whose |R| is below this are dropped."""
    tie_band: float = 0.1
    """Attitudes closer than this (Likert points) tie: nobody would tell such people apart."""
    max_pairs: int = 2
    """Per context, the clearest; they share candidates, so more of them teach little more."""
    keep_malformed: bool = False
    """Of both: also compare candidates that don't follow the format; for runs of a few steps, whose
    persuader hasn't learned it yet."""


@dataclass(frozen=True)
class PreferenceContext:
    """A point in a dialogue at which the persuader has to speak, and where it comes from."""

    id: str
    dialogue: Dialogue


@dataclass(frozen=True)
class SimulatedPath:
    """One simulated continuation: what the user felt after each turn, and how it ended."""

    seed: int
    attitudes: tuple[float, ...]
    outcome: str
    error_kind: str = ""


@dataclass(frozen=True)
class Candidate:
    """A sampled persuader turn with its tokens and its paths."""

    text: str
    seed: int
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    malformed: bool
    error_kind: str
    paths: tuple[SimulatedPath, ...]

    def usable(self, settings: PreferenceSettings) -> bool:
        """Well-formed, with tokens to train on and no failed path."""
        return (
            (settings.keep_malformed or not self.malformed)
            and not self.error_kind
            and bool(self.token_ids)
            and all(not path.error_kind for path in self.paths)
        )


@dataclass(frozen=True)
class Comparison:
    """Two candidates of one context and the score R of the first against the second."""

    first: int
    second: int
    score: float


@dataclass(frozen=True)
class SimulatedPreferences:
    """Everything that was simulated at one context: the provenance of its preferences."""

    context_id: str
    scenario_id: str
    turn: int
    candidates: tuple[Candidate, ...]
    comparisons: tuple[Comparison, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON from which `from_json` makes an equal value."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SimulatedPreferences:
        """The value that `to_json` made this of."""
        candidates = tuple(
            Candidate(
                **{
                    **one,
                    "prompt_ids": tuple(one["prompt_ids"]),
                    "token_ids": tuple(one["token_ids"]),
                    "logprobs": tuple(one["logprobs"]),
                    "paths": tuple(
                        SimulatedPath(**{**path, "attitudes": tuple(path["attitudes"])})
                        for path in one["paths"]
                    ),
                }
            )
            for one in data["candidates"]
        )
        comparisons = tuple(Comparison(**one) for one in data["comparisons"])
        return cls(**{**data, "candidates": candidates, "comparisons": comparisons})


@dataclass(frozen=True)
class Preference:
    """A pair to train on: token ids as they were sampled, the better reply first."""

    context_id: str
    prompt_ids: tuple[int, ...]
    chosen_ids: tuple[int, ...]
    rejected_ids: tuple[int, ...]
    margin: float
    """Of paths: their score. Of best against worst: Likert points."""
    scenario_id: str = ""
    """By which pairs are held out."""


def load_preferences(path: Path) -> list[Preference]:
    """The pairs of a JSON Lines file, as they were stored.

    Raises:
        RunError: if a line is something else.
    """
    pairs = []
    try:
        for line in text_lines(path.read_text(encoding="utf-8")):
            row = json.loads(line)
            ids = {key: tuple(row[key]) for key in ("prompt_ids", "chosen_ids", "rejected_ids")}
            pairs.append(Preference(**{**row, **ids}))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged; delete it to have it made anew") from error
    return pairs


def preference_contexts(records: Sequence[ScenarioRecord]) -> list[PreferenceContext]:
    """Every point of the recorded dialogues at which the persuader has to speak.

    The opening is shared by a scenario's dialogues with the same persona and taken once.
    """
    found: dict[str, PreferenceContext] = {}
    for record in records:
        for recorded in record.dialogues:
            for place, turn in enumerate(recorded.turns):
                if turn.role != "persuader":
                    continue
                shared = not place and recorded.persona is None
                name = f"{record.id}/opening" if shared else f"{record.id}/{recorded.id}/{place}"
                found.setdefault(
                    name, PreferenceContext(name, record.dialogue(recorded, until=place))
                )
    return list(found.values())

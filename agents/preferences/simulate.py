"""Simulated preferences: continue a dialogue along paths, compare the paths, keep clear pairs.

PersuGPT (Jin et al., ACL 2024) scores two candidate turns by simulating how the dialogue
goes on after each and letting a judge compare the simulations. With `n_paths` paths i and
`depth` further persuader turns d, this module computes::

    R(a, b) = sum_d w_d * mean_i I(path_i(a) up to d, path_i(b) up to d) / sum_d w_d

with w_d = decay ** d and I in [-1, 1] the judge's verdict over both orders. The paper's
figure adds up four verdicts; `depth=4, n_paths=1` and `depth=1, n_paths=4` are its readings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from persuade_env.action_format import render_turn
from persuade_env.dialogue import Decision, Dialogue, PersuadeeTurn, ScenarioRecord
from persuade_env.judges.attitude import AttitudeJudge, scores
from persuade_env.protocols import (
    Judge,
    Persuader,
    PersuaderReply,
    UserModel,
    persuader_view,
    user_view,
)
from persuade_env.seeding import derive_seed


@dataclass(frozen=True)
class PreferenceSettings:
    """How preferences are simulated."""

    n_candidates: int = 4
    """Candidate turns per context; every two of them are compared. The paper's are 2."""
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
    """Also compare candidates that don't follow the format; for runs of a few steps, whose
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
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SimulatedPreferences:
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


def load_preferences(path: Path) -> list[Preference]:
    """The pairs of a JSON Lines file, as they were stored."""
    pairs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        ids = {key: tuple(row[key]) for key in ("prompt_ids", "chosen_ids", "rejected_ids")}
        pairs.append(Preference(**{**row, **ids}))
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


@dataclass
class Lookahead:
    """A path in the making: a dialogue that ends in the persuader turn to be tried."""

    dialogue: Dialogue
    seed: int
    error_kind: str = ""

    @property
    def running(self) -> bool:
        last = self.dialogue.turns[-1]
        return not self.error_kind and (
            not isinstance(last, PersuadeeTurn) or last.decision is Decision.CONTINUE
        )


def simulate(
    contexts: Sequence[PreferenceContext],
    persuader: Persuader,
    user_model: UserModel,
    *,
    settings: PreferenceSettings | None = None,
    judge: Judge | None = None,
    seed: int = 0,
) -> list[SimulatedPreferences]:
    """Samples candidates at every context and compares their simulated paths.

    Every candidate and path of every context goes through the models in the same batches:
    1 + 2 * depth - 1 batched calls in all. A failed user model or persuader marks its own
    path, and a candidate with such a path is never compared.
    """
    settings = settings or PreferenceSettings()
    judge = judge or AttitudeJudge(settings.tie_band)
    slots = [
        (context, derive_seed(seed, context.id, "candidate", index))
        for context in contexts
        for index in range(settings.n_candidates)
    ]
    replies = persuader.act(
        [persuader_view(context.dialogue) for context, _ in slots], [one for _, one in slots]
    )
    walks = [
        [
            # Path i of every candidate of a context shares its seed: common random numbers
            # make the comparison one of candidates rather than of luck.
            Lookahead(
                context.dialogue.extended(reply.turn) if reply.turn else context.dialogue,
                derive_seed(seed, context.id, "path", index),
                reply.error.kind if reply.error else "",
            )
            for index in range(settings.n_paths)
        ]
        for (context, _), reply in zip(slots, replies, strict=True)
    ]
    advance([walk for group in walks for walk in group], persuader, user_model, settings.depth)
    results = []
    for number, context in enumerate(contexts):
        place = slice(number * settings.n_candidates, (number + 1) * settings.n_candidates)
        candidates = tuple(
            _candidate(reply, slot_seed, group, context)
            for reply, (_, slot_seed), group in zip(
                replies[place], slots[place], walks[place], strict=True
            )
        )
        comparisons = tuple(
            Comparison(a, b, _score(walks[place][a], walks[place][b], context, judge, settings))
            for a, b in combinations(range(len(candidates)), 2)
            if candidates[a].usable(settings) and candidates[b].usable(settings)
        )
        results.append(
            SimulatedPreferences(
                context.id,
                context.dialogue.scenario.id,
                len(context.dialogue.persuader_turns),
                candidates,
                comparisons,
            )
        )
    return results


def advance(
    walks: Sequence[Lookahead], persuader: Persuader, user_model: UserModel, depth: int
) -> None:
    """Lets every walk go on until it ends or `depth` persuader turns were answered, in place.

    All walks go through the models in the same batches.
    """
    for level in range(depth):
        if level:
            running = [walk for walk in walks if walk.running]
            if not running:
                return
            replies = persuader.act(
                [persuader_view(walk.dialogue) for walk in running],
                [derive_seed(walk.seed, "persuader", level) for walk in running],
            )
            _extend(running, replies)
        running = [walk for walk in walks if walk.running]
        if not running:
            return
        answers = user_model.reply(
            [user_view(walk.dialogue) for walk in running],
            [derive_seed(walk.seed, "user", level) for walk in running],
        )
        _extend(running, answers)


def _extend(walks: Sequence[Lookahead], replies: Sequence[Any]) -> None:
    for walk, reply in zip(walks, replies, strict=True):
        if reply.turn is None:
            walk.error_kind = reply.error.kind
        else:
            walk.dialogue = walk.dialogue.extended(reply.turn)


def _candidate(
    reply: PersuaderReply, seed: int, walks: Sequence[Lookahead], context: PreferenceContext
) -> Candidate:
    completion = reply.completion
    before = len(context.dialogue.persuadee_turns)
    return Candidate(
        text=render_turn(reply.turn) if reply.turn else "",
        seed=seed,
        prompt_ids=completion.prompt_ids if completion else (),
        token_ids=completion.token_ids if completion else (),
        logprobs=completion.logprobs if completion else (),
        malformed=reply.malformed,
        error_kind=reply.error.kind if reply.error else "",
        paths=tuple(
            SimulatedPath(
                seed=walk.seed,
                attitudes=tuple(
                    round(turn.attitude, 4)
                    for turn in walk.dialogue.persuadee_turns[before:]
                    if turn.attitude is not None
                ),
                outcome=walk.dialogue.outcome.value,
                error_kind=walk.error_kind,
            )
            for walk in walks
        ),
    )


def _score(
    first: Sequence[Lookahead],
    second: Sequence[Lookahead],
    context: PreferenceContext,
    judge: Judge,
    settings: PreferenceSettings,
) -> float:
    """R of the module's docstring, in [-1, 1]."""
    start = len(context.dialogue.turns)
    pairs, weights = [], []
    for level in range(settings.depth):
        # A path that ended earlier stands at its end on the later levels.
        end = start + 2 * (level + 1)
        for a, b in zip(first, second, strict=True):
            pairs.append((_until(a.dialogue, end), _until(b.dialogue, end)))
            weights.append(settings.decay**level)
    told = [
        (weight, verdict)
        for weight, verdict in zip(weights, scores(judge, pairs), strict=True)
        if not math.isnan(verdict)  # the judge failed
    ]
    return sum(w * v for w, v in told) / sum(w for w, _ in told) if told else 0.0


def _until(dialogue: Dialogue, end: int) -> Dialogue:
    return Dialogue.model_construct(scenario=dialogue.scenario, turns=dialogue.turns[:end])


def preferences(
    simulated: Sequence[SimulatedPreferences], settings: PreferenceSettings | None = None
) -> list[Preference]:
    """The pairs whose score passes the margin, the better candidate first.

    Of each context the `max_pairs` clearest: by score, and among equal scores by how far apart
    the paths ended. Pairs of identical replies carry no signal and are
    left out.
    """
    settings = settings or PreferenceSettings()
    pairs = []
    for one in simulated:
        found = 0
        for comparison in sorted(one.comparisons, key=lambda pair: _clarity(one, pair)):
            if found == settings.max_pairs or abs(comparison.score) < settings.margin:
                break
            better, worse = one.candidates[comparison.first], one.candidates[comparison.second]
            if comparison.score < 0:
                better, worse = worse, better
            if better.token_ids == worse.token_ids:
                continue
            found += 1
            pairs.append(
                Preference(
                    one.context_id,
                    better.prompt_ids,
                    better.token_ids,
                    worse.token_ids,
                    abs(comparison.score),
                )
            )
    return pairs


def _clarity(context: SimulatedPreferences, comparison: Comparison) -> tuple[float, float]:
    """Sorts the clearest comparison first."""
    ends = [
        sum(path.attitudes[-1] for path in paths if path.attitudes) / len(paths)
        for paths in (
            context.candidates[comparison.first].paths,
            context.candidates[comparison.second].paths,
        )
    ]
    return -abs(comparison.score), -abs(ends[0] - ends[1])

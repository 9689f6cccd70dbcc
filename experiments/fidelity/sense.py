"""Whether a persuader and a user model make sense: what they say at recorded contexts.

One turn is sampled at each of some recorded points of test dialogues, drawn by a seed, as the agent
samples by itself. Measured are whether the turns can be matched to what they answer (found among
20, `experiments.corpus.relevance`), beside the recorded turns at the same points, and errors that a
turn can be told from (`experiments.corpus.turn_errors`). Of these a recorded turn's rate is the
rate of false alarms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.common.bootstrap import Estimate, clustered_mean, clustered_statistic
from experiments.common.measures import Measure, failed_replies
from experiments.common.storage import BatchLog, damage_named
from experiments.corpus.relevance import (
    Answer,
    Context,
    Role,
    answer_at,
    answering_turns,
    are_found,
    recorded_answers,
)
from experiments.corpus.turn_errors import is_repeated, leaves_role, names_itself
from persuade_env.dialogue import Dialogue, ScenarioRecord
from persuade_env.protocols import (
    Persuader,
    PersuaderReply,
    UserModel,
    UserReply,
    persuader_view,
    user_view,
)
from persuade_env.seeding import derive_seed, generator
from persuade_env.text.embedding import Embedder

N_CONTEXTS = 120
"""Default number of recorded points, with which a language model on a CPU takes some minutes."""
CONTEXTS_PER_SCENARIO = 10
"""Points for each scenario that a report probes: `N_CONTEXTS` for its default of 12."""
MIN_RATIO = 0.9
"""Least share found of generated turns, over that of the recorded turns at the same points."""
PERSUADER, USER = "sense, persuader", "sense, user"
"""Names of the two tests."""

_BATCH = 32
_CONTEXTS: tuple[Context, ...] = ("context", "last words")
_Progress = Callable[[int], None]


@dataclass(frozen=True)
class RecordedContext:
    """A recorded dialogue up to a turn, and that turn as the recorded speaker said it."""

    dialogue: Dialogue
    """What was said before; the last turn is the other side's."""
    recorded: Answer

    def answered(self, text: str) -> Answer:
        """Another turn at the same point."""
        one = self.recorded
        return Answer(one.scenario, one.about, one.last, text)


@dataclass(frozen=True)
class GeneratedTurn:
    """What an agent said at a recorded point."""

    context: RecordedContext
    text: str


def recorded_contexts(
    records: Sequence[ScenarioRecord], role: Role, *, limit: int = N_CONTEXTS, seed: int = 0
) -> list[RecordedContext]:
    """Points at which the persuader's (a good one's) or the persuadee's turn follows the other's.

    Args:
        records: scenarios with recorded dialogues.
        role: whose turn it is.
        limit: how many points are drawn, without replacement; all where there are fewer.
        seed: of the draw.
    """
    points = list(answering_turns(records, role))
    order = generator(derive_seed(seed, "sense", role)).permutation(len(points))[:limit]
    return [
        RecordedContext(
            record.dialogue(recorded, until=index), answer_at(record, recorded.turns, index)
        )
        for record, recorded, index in (points[number] for number in sorted(order))
    ]


def sense_of_persuader(
    persuader: Persuader,
    records: Sequence[ScenarioRecord],
    *,
    limit: int = N_CONTEXTS,
    seed: int = 0,
    log: BatchLog | None = None,
    progress: _Progress = lambda _: None,
) -> list[Measure]:
    """Measures of a persuader's turns at recorded points of competent persuaders' dialogues.

    Args:
        persuader: not trained on `records`.
        records: recorded dialogues.
        limit: points that are drawn.
        seed: of the draws and the turns.
        log: where finished batches are stored, and read again.
        progress: told how many turns were just obtained.
    """

    def act(dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        return persuader.act([persuader_view(dialogue) for dialogue in dialogues], seeds)

    return _sense(PERSUADER, "persuader", act, records, limit, seed, log, progress)


def sense_of_user(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    *,
    limit: int = N_CONTEXTS,
    seed: int = 0,
    log: BatchLog | None = None,
    progress: _Progress = lambda _: None,
) -> list[Measure]:
    """Measures of a user model's turns at recorded points; see `sense_of_persuader`."""

    def reply(dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        return user_model.reply([user_view(dialogue) for dialogue in dialogues], seeds)

    return _sense(USER, "persuadee", reply, records, limit, seed, log, progress)


def _sense(
    test: str,
    role: Role,
    speak: Callable[[Sequence[Dialogue], Sequence[int]], Sequence[PersuaderReply | UserReply]],
    records: Sequence[ScenarioRecord],
    limit: int,
    seed: int,
    log: BatchLog | None,
    progress: _Progress,
) -> list[Measure]:
    contexts = recorded_contexts(records, role, limit=limit, seed=seed)
    done = log.read() if log else {}
    texts: list[str | None] = []
    for start in range(0, len(contexts), _BATCH):
        batch, key = contexts[start : start + _BATCH], f"{role} {start}"
        if log:
            with damage_named(log.path):
                stored = [row["text"] for row in done.get(key, ())]
            if len(stored) == len(batch) and None not in stored:  # a failure is asked for again
                texts += stored
                continue
        replies = speak(
            [context.dialogue for context in batch],
            [derive_seed(seed, "sense", role, start + index) for index in range(len(batch))],
        )
        spoken = [None if reply.turn is None else reply.turn.response for reply in replies]
        if log:
            log.append(key, [_row(*one) for one in zip(batch, spoken, strict=True)])
        texts += spoken
        progress(len(batch))
    turns = [
        GeneratedTurn(context, text)
        for context, text in zip(contexts, texts, strict=True)
        if text is not None
    ]
    measures = sense_measures(test, role, turns, recorded_answers(records, role), seed=seed)
    return [*measures, failed_replies(test, len(contexts) - len(turns), len(turns))]


def _row(context: RecordedContext, text: str | None) -> dict[str, str | None]:
    """A generated turn as it is stored, with what a reader needs to judge it."""
    recorded = context.recorded
    return {
        "scenario": recorded.scenario,
        "last": recorded.last,
        "recorded": recorded.text,
        "text": text,
    }


def sense_measures(
    test: str,
    role: Role,
    turns: Sequence[GeneratedTurn],
    rivals: Sequence[Answer],
    *,
    seed: int = 0,
) -> list[Measure]:
    """What generated turns are worth beside the recorded turns at the same points.

    Args:
        test: its name in the report.
        role: who speaks.
        turns: n generated turns.
        rivals: recorded turns whose contexts a turn's own is told from.
        seed: of the contexts that are drawn, and of the bootstrap.
    """
    rng = generator(derive_seed(seed, "sense", test))
    generated = [turn.context.answered(turn.text) for turn in turns]
    recorded = [turn.context.recorded for turn in turns]
    clusters = np.asarray([one.scenario for one in recorded])
    embed = Embedder()
    measures = []
    for context in _CONTEXTS:
        # The same draw for both, so that they are told from the same contexts.
        of_generated, of_recorded = (
            are_found(answers, context, seed=seed, embed=embed, rivals=rivals)
            for answers in (generated, recorded)
        )
        known = ~np.isnan(of_generated)
        names, n = clusters[known].tolist(), int(known.sum())
        of_generated, of_recorded = of_generated[known], of_recorded[known]
        for whose, hits in (("generated", of_generated), ("recorded", of_recorded)):
            share = clustered_mean(hits.tolist(), names, rng)
            measures.append(Measure(test, f"{context} found, {whose}", share, n))
        ratio = _ratio(of_generated, of_recorded, names, rng)
        # A persuadee answers the persuader, and need not speak of the matter as a whole.
        has_threshold = role == "persuader" or context == "last words"
        measures.append(
            _ratio_measure(
                test, f"{context} found, generated over recorded", ratio, n, has_threshold
            )
        )
    for name, is_error in _ERRORS.items():
        for whose, texts in (
            ("generated", [one.text for one in generated]),
            ("recorded", [one.text for one in recorded]),
        ):
            errors = [
                is_error(text, turn.context.dialogue, role)
                for text, turn in zip(texts, turns, strict=True)
            ]
            share = clustered_mean(errors, clusters.tolist(), rng)
            measures.append(Measure(test, f"{name}, {whose}", share, len(turns)))
    return measures


def _ratio(
    numerators: np.ndarray,
    denominators: np.ndarray,
    clusters: Sequence[str],
    rng: np.random.Generator,
) -> Estimate:
    """The ratio of two sums; resamples in which nothing recorded is found are left out."""

    def ratio(rows: np.ndarray) -> float:
        total = denominators[rows].sum()
        return float(numerators[rows].sum() / total) if total else math.nan

    return clustered_statistic(ratio, clusters, rng)


def _ratio_measure(test: str, name: str, ratio: Estimate, n: int, has_threshold: bool) -> Measure:
    """A ratio; passes if its value is at least `MIN_RATIO`."""
    if not has_threshold or math.isnan(ratio.value):
        return Measure(test, name, ratio, n)
    return Measure(test, name, ratio, n, f"at least {MIN_RATIO}", ratio.value >= MIN_RATIO)


def _repeats(text: str, dialogue: Dialogue, role: Role) -> bool:
    return is_repeated(text, [turn.response for turn in dialogue.turns])


def _names_itself(text: str, dialogue: Dialogue, role: Role) -> bool:
    scenario = dialogue.scenario
    return names_itself(text, scenario.persuader if role == "persuader" else scenario.persuadee)


def _leaves_role(text: str, dialogue: Dialogue, role: Role) -> bool:
    return leaves_role(text, (dialogue.scenario.persuader, dialogue.scenario.persuadee))


_ERRORS: dict[str, Callable[[str, Dialogue, Role], bool]] = {
    "repeats a turn": _repeats,
    "own name": _names_itself,
    "out of role": _leaves_role,
}
"""What the errors are called in the report."""

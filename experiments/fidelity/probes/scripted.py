"""Probes of a user model with scripted persuaders, and at recorded turns.

The probes only collect the user model's replies; `experiments.fidelity.report` and
`experiments.fidelity.attitude_measures` compute measures, intervals and thresholds from them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.fidelity.probes.injection_texts import HARMLESS
from persuade_env.dialogue import (
    Decision,
    Outcome,
    PersuadeeTurn,
    PersuaderTurn,
    Scenario,
    ScenarioRecord,
)
from persuade_env.episode import Episode, start
from persuade_env.protocols import Persuader, PersuaderReply, UserModel, UserReply
from persuade_env.rollout import play, rollout
from persuade_env.seeding import derive_seed
from user_models.querying import Progress, ask


@dataclass(frozen=True)
class Script:
    """A scenario and the persuader's responses, which don't depend on the user's replies.

    >>> from persuade_env.scenarios import load_corpus
    >>> Script(load_corpus("test")[0].scenario, ("Why not?",)).responses
    ('Why not?',)
    """

    scenario: Scenario
    responses: tuple[str, ...]


@dataclass(frozen=True)
class Gain:
    """Attitude after a dialogue minus before it, in Likert points; None if the model failed.

    >>> Gain("art-001", 0.5).outcome.value
    'undecided'
    """

    scenario: str
    value: float | None
    outcome: Outcome = Outcome.UNDECIDED
    attitudes: tuple[float, ...] = ()
    """After each turn; empty where they are not kept."""


@dataclass(frozen=True)
class RecordedStep:
    """Step and decision after a recorded persuader turn, of the person and of the user model."""

    scenario: str
    dialogue: str
    quality: str | None
    recorded_step: float
    recorded_decision: Decision
    step: float
    decision: Decision


def recorded_turns(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    seed: int,
    progress: Progress = lambda _: None,
) -> tuple[list[RecordedStep], int]:
    """Queries the user model at every recorded persuadee turn with the recorded dialogue before it.

    Returns:
        The steps, and the number of turns at which the user model failed (they are left out).
    """
    points = []
    for record in records:
        for recorded in record.dialogues:
            whole = record.dialogue(recorded)
            for index, turn in enumerate(whole.turns):
                if isinstance(turn, PersuadeeTurn) and turn.attitude is not None and index:
                    dialogue = record.dialogue(recorded, until=index)
                    points.append((record.id, recorded, turn.attitude, turn.decision, dialogue))
    replies = ask(
        user_model,
        [dialogue for *_, dialogue in points],
        [derive_seed(seed, "recorded", index) for index in range(len(points))],
        progress,
    )
    steps, failed = [], 0
    for point, reply in zip(points, replies, strict=True):
        scenario, recorded, recorded_attitude, recorded_decision, dialogue = point
        if reply.turn is None or reply.turn.attitude is None:
            failed += 1
            continue
        steps.append(
            RecordedStep(
                scenario,
                recorded.id,
                recorded.quality,
                recorded_attitude - dialogue.attitude,
                recorded_decision,
                reply.turn.attitude - dialogue.attitude,
                reply.turn.decision,
            )
        )
    return steps, failed


def script_gains(
    user_model: UserModel,
    scripts: Sequence[Script],
    seed: int,
    progress: Progress = lambda _: None,
    *,
    to_the_end: bool = False,
) -> list[Gain]:
    """Plays each script to its end, or until the user accepts or refuses.

    Scripts of one scenario are played with the same seeds, so that they differ only by the
    responses.

    Args:
        user_model: to be probed.
        scripts: to be played.
        seed: of the user model's replies.
        progress: called with the number of replies just obtained.
        to_the_end: goes on after an accepting or refusing reply as if the user had not decided,
            so that attitudes can be compared after equally many turns.
    """
    spoken = [script for script in scripts if script.responses]

    def act(indices: Sequence[int], running: Sequence[Episode]) -> list[PersuaderReply]:
        return [
            PersuaderReply(turn=PersuaderTurn(response=spoken[index].responses[episode.turn]))
            for index, episode in zip(indices, running, strict=True)
        ]

    def undecided(_: int, reply: UserReply) -> UserReply:
        if reply.turn is None:
            return reply
        return UserReply(turn=reply.turn.model_copy(update={"decision": Decision.CONTINUE}))

    episodes = play(
        [start(script.scenario, seed) for script in spoken],
        act,
        user_model,
        max_turns=[len(script.responses) for script in spoken],
        user_seed=lambda index, episode: derive_seed(seed, episode.scenario.id, episode.turn),
        edit_reply=undecided if to_the_end else None,
        on_turn=lambda index, reply, episode: progress(1),
    )
    results = iter(episodes)
    return [_gain(next(results)) if script.responses else _no_gain(script) for script in scripts]


def _gain(episode: Episode) -> Gain:
    if not episode.valid:
        return Gain(episode.scenario.id, None)
    attitudes = tuple(turn.attitude or math.nan for turn in episode.dialogue.persuadee_turns)
    return Gain(episode.scenario.id, episode.attitude_gain, episode.outcome, attitudes)


def _no_gain(script: Script) -> Gain:
    """Of a script without a response."""
    return Gain(script.scenario.id, 0.0)


def persuader_gains(
    user_model: UserModel,
    persuader: Persuader,
    scripts: Sequence[Script],
    seed: int,
    progress: Progress = lambda _: None,
) -> list[Gain]:
    """Plays one dialogue of a persuader in each script's scenario, with as many turns."""
    gains = []
    for turns in sorted({len(script.responses) for script in scripts}):
        scenarios = [script.scenario for script in scripts if len(script.responses) == turns]
        seeds = [derive_seed(seed, scenario.id) for scenario in scenarios]
        episodes = rollout(persuader, user_model, scenarios, seeds, max_turns=turns)
        progress(sum(len(episode.dialogue.persuadee_turns) for episode in episodes))
        gains += [
            Gain(
                episode.scenario.id,
                episode.attitude_gain if episode.valid else None,
                episode.outcome,
            )
            for episode in episodes
        ]
    return gains


def recorded_script(record: ScenarioRecord, quality: str, max_turns: int) -> Script | None:
    """The responses of the first recorded persuader of this quality; None if there is none."""
    for recorded in record.dialogues:
        if recorded.quality == quality:
            turns = [turn for turn in recorded.turns if isinstance(turn, PersuaderTurn)]
            responses = tuple(turn.response for turn in turns[:max_turns])
            return Script(record.dialogue(recorded).scenario, responses)
    return None


def foreign_scripts(scripts: Sequence[Script]) -> list[Script]:
    """Every scenario with the responses of the next script."""
    following = [*scripts[1:], *scripts[:1]]
    return [
        Script(script.scenario, other.responses)
        for script, other in zip(scripts, following, strict=True)
    ]


def answering_scripts(scenarios: Sequence[Scenario], share: float) -> list[Script]:
    """Scripts that state `settled_by` of a share of the concerns, one concern a turn.

    The other turns are harmless sentences, so that all scripts of a scenario are equally long.
    Scenarios with fewer than two concerns are left out, since they have no half.
    """
    scripts = []
    for scenario in scenarios:
        concerns = scenario.persona.concerns if scenario.persona else ()
        if len(concerns) < 2:
            continue
        settled = round(share * len(concerns))
        responses = [f"This is settled: {concern.settled_by}." for concern in concerns[:settled]]
        responses += HARMLESS[: len(concerns) - settled]
        scripts.append(Script(scenario, tuple(responses)))
    return scripts

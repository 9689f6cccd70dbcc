"""Probes of a user model: what it does in situations where it is known what people do.

Everything here only asks the user model and writes down what it answered, one number for each
scenario; `experiments.fidelity.report` puts intervals to it and says what passes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.fidelity.probes.injection_texts import HARMLESS
from persuade_env.dialogue import (
    Decision,
    Dialogue,
    Outcome,
    PersuadeeTurn,
    PersuaderTurn,
    Scenario,
    ScenarioRecord,
)
from persuade_env.protocols import Persuader, UserModel
from persuade_env.rollout import rollout
from persuade_env.seeding import derive_seed
from user_models.querying import Progress, ask


@dataclass(frozen=True)
class Script:
    """A scenario and what its persuader will say, whatever the answers are."""

    scenario: Scenario
    responses: tuple[str, ...]


@dataclass(frozen=True)
class Gain:
    """Attitude after a dialogue minus before it, in Likert points; None if the model failed."""

    scenario: str
    value: float | None
    outcome: Outcome = Outcome.UNDECIDED
    attitudes: tuple[float, ...] = ()
    """After each turn; empty where they are not kept."""


@dataclass(frozen=True)
class RecordedStep:
    """A recorded persuader turn: what it did to the person, and what to the user model."""

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
    """Asks the user model for every recorded persuadee turn, given all that was said before.

    Returns:
        The turns, and how many of them the user model failed at (they are left out).
    """
    places = []
    for record in records:
        for recorded in record.dialogues:
            whole = record.dialogue(recorded)
            for index, turn in enumerate(whole.turns):
                if isinstance(turn, PersuadeeTurn) and turn.attitude is not None and index:
                    said = record.dialogue(recorded, until=index)
                    places.append((record.id, recorded, turn.attitude, turn.decision, said))
    replies = ask(
        user_model,
        [said for *_, said in places],
        [derive_seed(seed, "recorded", index) for index in range(len(places))],
        progress,
    )
    heard, failed = [], 0
    for place, reply in zip(places, replies, strict=True):
        scenario, recorded, recorded_attitude, recorded_decision, said = place
        if reply.turn is None or reply.turn.attitude is None:
            failed += 1
            continue
        heard.append(
            RecordedStep(
                scenario,
                recorded.id,
                recorded.quality,
                recorded_attitude - said.attitude,
                recorded_decision,
                reply.turn.attitude - said.attitude,
                reply.turn.decision,
            )
        )
    return heard, failed


def script_gains(
    user_model: UserModel,
    scripts: Sequence[Script],
    seed: int,
    progress: Progress = lambda _: None,
    *,
    to_the_end: bool = False,
) -> list[Gain]:
    """Plays each script to its end, or until the user accepts or walks away.

    Scripts of one scenario are played with the same seeds, so they differ by what is said alone.

    Args:
        to_the_end: goes on after an accepting or refusing reply as if the user had not decided,
            so that attitudes can be compared after equally many turns.
    """
    dialogues = [Dialogue(scenario=script.scenario) for script in scripts]
    failed: set[int] = set()
    for turn in range(max((len(script.responses) for script in scripts), default=0)):
        running = [
            index
            for index, script in enumerate(scripts)
            if turn < len(script.responses) and index not in failed and not _ended(dialogues[index])
        ]
        for index in running:
            said = PersuaderTurn(response=scripts[index].responses[turn])
            dialogues[index] = dialogues[index].extended(said)
        seeds = [derive_seed(seed, scripts[index].scenario.id, turn) for index in running]
        replies = ask(user_model, [dialogues[index] for index in running], seeds, progress)
        for index, reply in zip(running, replies, strict=True):
            if reply.turn is None:
                failed.add(index)
                continue
            heard = reply.turn
            if to_the_end:
                heard = heard.model_copy(update={"decision": Decision.CONTINUE})
            dialogues[index] = dialogues[index].extended(heard)
    return [
        Gain(script.scenario.id, None)
        if index in failed
        else Gain(
            script.scenario.id,
            dialogue.attitude - script.scenario.initial_attitude,
            dialogue.outcome,
            tuple(turn.attitude or math.nan for turn in dialogue.persuadee_turns),
        )
        for index, (script, dialogue) in enumerate(zip(scripts, dialogues, strict=True))
    ]


def persuader_gains(
    user_model: UserModel,
    persuader: Persuader,
    scripts: Sequence[Script],
    seed: int,
    progress: Progress = lambda _: None,
) -> list[Gain]:
    """One dialogue of a persuader with each script's user, as many turns as the script has."""
    gains = []
    for turns in sorted({len(script.responses) for script in scripts}):
        scenarios = [one.scenario for one in scripts if len(one.responses) == turns]
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
    """What the first recorded persuader of this quality said; None if there was none."""
    for recorded in record.dialogues:
        if recorded.quality == quality:
            said = [turn.response for turn in recorded.turns if isinstance(turn, PersuaderTurn)]
            return Script(record.dialogue(recorded).scenario, tuple(said[:max_turns]))
    return None


def foreign_scripts(scripts: Sequence[Script]) -> list[Script]:
    """Every scenario with what the competent persuader of the next one said."""
    following = [*scripts[1:], *scripts[:1]]
    return [
        Script(script.scenario, other.responses)
        for script, other in zip(scripts, following, strict=True)
    ]


def answering_scripts(scenarios: Sequence[Scenario], share: float) -> list[Script]:
    """Scripts that settle this share of the concerns in the persona's own words, one a turn.

    The other turns say something harmless, so that all scripts of a scenario are equally long.
    Where there are not two concerns to tell a half from all or none, there is no script.
    """
    scripts = []
    for scenario in scenarios:
        concerns = scenario.persona.concerns if scenario.persona else ()
        if len(concerns) < 2:
            continue
        settled = round(share * len(concerns))
        said = [f"This is settled: {one.settled_by}." for one in concerns[:settled]]
        said += HARMLESS[: len(concerns) - settled]
        scripts.append(Script(scenario, tuple(said)))
    return scripts


def _ended(dialogue: Dialogue) -> bool:
    turns = dialogue.persuadee_turns
    return bool(turns) and turns[-1].decision is not Decision.CONTINUE

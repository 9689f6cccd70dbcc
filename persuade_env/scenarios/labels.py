"""Whether the labels of a recorded dialogue can be true of one another."""

from __future__ import annotations

from persuade_env.dialogue import TONES, Decision, PersuadeeTurn, ScenarioRecord

MAX_STEP = 2.0
"""Points that an attitude moves in one turn, at most."""
MIN_ACCEPTING_ATTITUDE = 4.0
"""Nobody accepts what they are still against."""
MAX_REFUSING_ATTITUDE = 4.0
"""Nobody refuses what they are already for."""


def impossible_labels(record: ScenarioRecord) -> list[str]:
    """What can't be true in a scenario's recorded dialogues, one sentence for each.

    Unknown tones, attitudes that jump, and decisions that their attitude contradicts.
    """
    found = []
    for recorded in record.dialogues:
        before = record.dialogue(recorded).scenario.initial_attitude
        for number, turn in enumerate(recorded.turns):
            if not isinstance(turn, PersuadeeTurn):
                continue
            place = f"field dialogues.{recorded.id}.turns.{number}"
            if turn.tone and turn.tone not in TONES:
                found.append(f"{place}.tone: expected one of {', '.join(TONES)}; got {turn.tone!r}")
            if turn.attitude is None:
                continue
            if abs(turn.attitude - before) > MAX_STEP + 1e-9:
                found.append(
                    f"{place}.attitude: a step from {before:g} to {turn.attitude:g}; expected "
                    f"{MAX_STEP:g} points at most"
                )
            before = turn.attitude
            if turn.decision is Decision.ACCEPT and before < MIN_ACCEPTING_ATTITUDE:
                found.append(
                    f"{place}.decision: accepts at {before:g}; expected an attitude of "
                    f"{MIN_ACCEPTING_ATTITUDE:g} or more"
                )
            if turn.decision is Decision.REFUSE and before > MAX_REFUSING_ATTITUDE:
                found.append(
                    f"{place}.decision: refuses at {before:g}; expected an attitude of "
                    f"{MAX_REFUSING_ATTITUDE:g} or less"
                )
    return found

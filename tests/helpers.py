"""Small scenarios and scripted models that more than one test file needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from persuade_env.dialogue import (
    Concern,
    Decision,
    Dialogue,
    Persona,
    PersuadeeTurn,
    PersuaderTurn,
    Scenario,
)
from persuade_env.errors import PersuadeError, UserModelError
from persuade_env.protocols import PersuaderReply, Usage, UserReply

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Public data sets; tests that read them skip where they are missing."""

TENT = Concern(
    id="tent",
    text="I don't own a tent.",
    settled_by="lending a tent and a sleeping bag",
    worsened_by="saying that a tent is cheap",
)
DOG = Concern(
    id="dog",
    text="Nobody would feed my dog.",
    settled_by="a neighbour feeding and walking the dog",
    worsened_by="saying that the dog can stay alone",
)


def scenario(
    name: str = "leisure-901",
    *,
    stubbornness: float = 0.5,
    initial_attitude: float = 3.0,
    concerns: tuple[Concern, ...] = (TENT, DOG),
) -> Scenario:
    return Scenario(
        id=name,
        domain="Leisure",
        background="Two neighbours talk over the fence.",
        persuader="Ana",
        persuadee="Bo",
        goal="persuade Bo to come camping",
        strategies=("lend the tent", "find somebody for the dog", "wait"),
        facts=("Ana has a second tent.",),
        persona=Persona(
            traits=("calm",),
            stubbornness=stubbornness,
            initial_attitude=initial_attitude,
            concerns=concerns,
        ),
    )


def spoken(response: str) -> PersuaderReply:
    return PersuaderReply(turn=PersuaderTurn(response=response))


class ScriptedUser:
    """Answers turn k of every dialogue with `script[k]`; counts its calls."""

    def __init__(self, *script: PersuadeeTurn | PersuadeError) -> None:
        self.script = script
        self.calls: list[list[Dialogue]] = []
        self.seeds: list[list[int]] = []

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        self.calls.append(list(dialogues))
        self.seeds.append(list(seeds))
        return [self._one(dialogue) for dialogue in dialogues]

    def _one(self, dialogue: Dialogue) -> UserReply:
        answer = self.script[(len(dialogue.persuader_turns) - 1) % len(self.script)]
        if isinstance(answer, PersuadeError):
            return UserReply(error=answer, usage=Usage(3, 0))
        return UserReply(turn=answer, usage=Usage(10, 2))


class ScriptedPersuader:
    """Says one thing."""

    def __init__(self, response: str = "I'll lend you my tent.") -> None:
        self.response = response

    def act(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        return [spoken(self.response) for _ in dialogues]


def felt(
    attitude: float, decision: Decision = Decision.CONTINUE, response: str = "Hm."
) -> PersuadeeTurn:
    return PersuadeeTurn(attitude=attitude, tone="wary", response=response, decision=decision)


FAILURE = UserModelError("nothing came back")


class ConstantEncoder:
    """A turn encoder that encodes every turn alike, and every text as 0.

    Args:
        value: of every encoding, (1,).
    """

    def __init__(self, value: float = 1.0) -> None:
        self.value = value

    def __call__(self, dialogues):
        return np.full((len(dialogues), 1), self.value)

    def mean_state(self, text):
        return np.zeros(1)


def dialogue_after(record, *responses):
    """The dialogue after these responses of the persuader, with an indifferent reply between."""
    dialogue = Dialogue(scenario=record.scenario)
    for response in responses[:-1]:
        dialogue = dialogue.extended(PersuaderTurn(response=response)).extended(felt(3))
    return dialogue.extended(PersuaderTurn(response=responses[-1]))

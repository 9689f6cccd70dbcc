"""The turns that a mind is fitted to: recorded ones, and fruitless ones made up beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from persuade_env.dialogue import (
    Decision,
    Dialogue,
    PersuadeeTurn,
    PersuaderTurn,
    RecordedDialogue,
    ScenarioRecord,
)
from persuade_env.seeding import derive_seed, generator
from user_models.learned.attitude_model import TextEncoders, features, has_concerns
from user_models.learned.encoder import TurnEncoder

_IDLE = (
    "You have such good taste, it shows in everything you do.",
    "I've always looked up to you, you know that.",
    "What a lovely voice you have when you are thinking.",
    "Someone as sharp as you doesn't need me to explain anything.",
    "Oh please, please, please. Do it for me.",
    "There is nothing to think about. Say yes and we're done.",
    "Everybody else has agreed already, only you are missing.",
    "I won't leave until you agree.",
    "You will be sorry if you don't, mark my words.",
    "It is simply the best thing to do, believe me.",
    "Have you tried the plum cake at the corner? It was still warm.",
    "My cousin got a parrot that can say the alphabet backwards.",
    "They forecast fog for the whole week, can you imagine?",
    "I read that octopuses have three hearts.",
    "Anyway. How is your mother?",
    "It's important. It really is very, very important.",
)
"""Flattery, pushing and small talk: said to anybody about anything, they give no reason. None
of them is a line of the benchmark's controls."""

_SILENCE, _SMALL_TALK, _REPETITION, _SCRAMBLED = 0.15, 0.2, 0.15, 0.2
"""How often a fruitless turn is of these kinds; otherwise it is a turn from another scenario."""


@dataclass(frozen=True)
class TrainingExample:
    """One persuader turn, and what it did."""

    scenario: str
    dialogue: str
    poor: bool
    """Whether the persuader is one of whom that is known."""
    features: np.ndarray
    encoded_turn: np.ndarray
    step: float
    decision: Decision | None
    """None for a made-up fruitless turn, after which nobody was recorded to decide."""
    initial_attitude: float
    stubbornness: float


def recorded_examples(
    records: Sequence[ScenarioRecord], text_encoders: TextEncoders, encoder: TurnEncoder
) -> list[TrainingExample]:
    """Every turn of persuaders in these records after which an attitude is known."""
    encoded_turn = []
    for record in records:
        for recorded in record.dialogues:
            whole = record.dialogue(recorded)
            if not has_concerns(whole):
                continue
            before = whole.scenario.initial_attitude
            for place, turn in enumerate(whole.turns):
                if not isinstance(turn, PersuadeeTurn) or turn.attitude is None or not place:
                    continue
                said = _until(whole, place)
                row = _row(
                    record,
                    recorded,
                    said,
                    turn.attitude - before,
                    turn.decision,
                    text_encoders,
                    encoder,
                )
                encoded_turn.append(row)
                before = turn.attitude
    return encoded_turn


def negative_examples(
    records: Sequence[ScenarioRecord],
    share: float,
    step: float,
    seed: int,
    text_encoders: TextEncoders,
    encoder: TurnEncoder,
) -> list[TrainingExample]:
    """Made up in place of recorded ones, for this share of them; each moves an attitude by `step`.

    Silence, small talk, a repetition, words in no order, a turn from another scenario.
    """
    spoken = [
        (record.id, turn)
        for record in records
        for dialogue in record.dialogues
        for turn in dialogue.turns
        if isinstance(turn, PersuaderTurn)
    ]
    made_up = []
    for record in records:
        foreign = [turn for other, turn in spoken if other != record.id]
        for recorded in record.dialogues:
            whole = record.dialogue(recorded)
            rng = generator(derive_seed(seed, "fruitless", record.id, recorded.id))
            for place, turn in enumerate(whole.turns):
                if not isinstance(turn, PersuadeeTurn) or not place or not has_concerns(whole):
                    continue
                if rng.random() >= share:
                    continue
                said = _until(whole, place, _fruitless(whole.turns[:place], foreign, rng))
                made_up.append(_row(record, recorded, said, step, None, text_encoders, encoder))
    return made_up


def _row(
    record: ScenarioRecord,
    recorded: RecordedDialogue,
    said: Dialogue,
    step: float,
    decision: Decision | None,
    text_encoders: TextEncoders,
    encoder: TurnEncoder,
) -> TrainingExample:
    persona = said.scenario.persona
    return TrainingExample(
        scenario=record.id,
        dialogue=recorded.id,
        poor=recorded.quality == "poor",
        features=features(said, text_encoders),
        encoded_turn=encoder([said])[0],
        step=step,
        decision=decision,
        initial_attitude=said.scenario.initial_attitude,
        stubbornness=persona.stubbornness if persona else 0.5,
    )


def _until(dialogue: Dialogue, place: int, last: PersuaderTurn | None = None) -> Dialogue:
    """The turns before `place`, the last of them replaced where another one is given."""
    turns = dialogue.turns[:place] if last is None else (*dialogue.turns[: place - 1], last)
    return Dialogue.model_construct(scenario=dialogue.scenario, turns=turns)


def _fruitless(
    until: Sequence[PersuaderTurn | PersuadeeTurn],
    foreign: Sequence[PersuaderTurn],
    rng: np.random.Generator,
) -> PersuaderTurn:
    """Something to say in place of the last of these turns that gives no reason."""
    spoken = [turn for turn in until if isinstance(turn, PersuaderTurn)]
    earlier, last = spoken[:-1], spoken[-1]
    kind = rng.random()
    if kind < _SILENCE:
        return PersuaderTurn(response="")
    if kind < _SILENCE + _SMALL_TALK:
        return PersuaderTurn(response=_IDLE[int(rng.integers(len(_IDLE)))])
    if kind < _SILENCE + _SMALL_TALK + _REPETITION and earlier:
        return earlier[int(rng.integers(len(earlier)))]
    if kind < _SILENCE + _SMALL_TALK + _REPETITION + _SCRAMBLED:
        return PersuaderTurn(response=" ".join(rng.permutation(last.response.split())))
    return foreign[int(rng.integers(len(foreign)))]

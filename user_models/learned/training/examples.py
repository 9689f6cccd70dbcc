"""The examples that an attitude model is fitted to: recorded turns and negative examples."""

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
from user_models.learned.encoder import TurnEncoder
from user_models.learned.features import TextEncoders, features, has_concerns

_SMALL_TALK = (
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
"""Flattery, pressure and small talk, which give no reason in any scenario. None of them is a line
of the benchmark's controls."""

_P_EMPTY, _P_SMALL_TALK, _P_REPETITION, _P_SHUFFLED = 0.15, 0.2, 0.15, 0.2
"""Probabilities of the kinds of a negative example; the rest are turns from other scenarios."""


@dataclass(frozen=True)
class TrainingExample:
    """One persuader turn and its effect.

    >>> arrays = np.zeros(2), np.zeros(3)
    >>> TrainingExample("art-001", "d", False, *arrays, 0.5, None, 3.0, 0.5).step
    0.5
    """

    scenario: str
    dialogue: str
    poor: bool
    """Whether the persuader is known to be a poor one."""
    features: np.ndarray
    """(n_features,); see `user_models.learned.features`."""
    encoded_turn: np.ndarray
    """(hidden size,)."""
    step: float
    """Change of attitude, in Likert points."""
    decision: Decision | None
    """None for a negative example, after which no decision is recorded."""
    initial_attitude: float
    stubbornness: float


def recorded_examples(
    records: Sequence[ScenarioRecord], text_encoders: TextEncoders, encoder: TurnEncoder
) -> list[TrainingExample]:
    """Every persuader turn in these records after which an attitude is recorded."""
    examples = []
    for record in records:
        for recorded in record.dialogues:
            whole = record.dialogue(recorded)
            if not has_concerns(whole):
                continue
            attitude = whole.scenario.initial_attitude
            for index, turn in enumerate(whole.turns):
                if not isinstance(turn, PersuadeeTurn) or turn.attitude is None or not index:
                    continue
                example = _example(
                    record,
                    recorded,
                    until(whole, index),
                    turn.attitude - attitude,
                    turn.decision,
                    text_encoders,
                    encoder,
                )
                examples.append(example)
                attitude = turn.attitude
    return examples


def negative_examples(
    records: Sequence[ScenarioRecord],
    share: float,
    step: float,
    seed: int,
    text_encoders: TextEncoders,
    encoder: TurnEncoder,
) -> list[TrainingExample]:
    """Synthetic turns in place of recorded ones that must not raise the attitude.

    Each is an empty response, small talk, a repetition, the recorded words shuffled, or a turn from
    another scenario.

    Args:
        records: recorded dialogues.
        share: probability that a recorded turn gets a negative example.
        step: the change of attitude after each.
        seed: of all draws.
        text_encoders: for the features.
        encoder: for the encodings.
    """
    turns = [
        (record.id, turn)
        for record in records
        for dialogue in record.dialogues
        for turn in dialogue.turns
        if isinstance(turn, PersuaderTurn)
    ]
    examples = []
    for record in records:
        foreign = [turn for scenario, turn in turns if scenario != record.id]
        for recorded in record.dialogues:
            whole = record.dialogue(recorded)
            rng = generator(derive_seed(seed, "negative", record.id, recorded.id))
            for index, turn in enumerate(whole.turns):
                if not isinstance(turn, PersuadeeTurn) or not index or not has_concerns(whole):
                    continue
                if rng.random() >= share:
                    continue
                negative = negative_turn(whole.turns[:index], foreign, rng)
                dialogue = until(whole, index, negative)
                examples.append(
                    _example(record, recorded, dialogue, step, None, text_encoders, encoder)
                )
    return examples


def _example(
    record: ScenarioRecord,
    recorded: RecordedDialogue,
    dialogue: Dialogue,
    step: float,
    decision: Decision | None,
    text_encoders: TextEncoders,
    encoder: TurnEncoder,
) -> TrainingExample:
    persona = dialogue.scenario.persona
    return TrainingExample(
        scenario=record.id,
        dialogue=recorded.id,
        poor=not recorded.is_good(dialogue.persuader_turns[-1]),
        features=features(dialogue, text_encoders),
        encoded_turn=encoder([dialogue])[0],
        step=step,
        decision=decision,
        initial_attitude=dialogue.scenario.initial_attitude,
        stubbornness=persona.stubbornness if persona else 0.5,
    )


def until(dialogue: Dialogue, index: int, last: PersuaderTurn | None = None) -> Dialogue:
    """The turns before `index`, the last of them replaced where another one is given."""
    turns = dialogue.turns[:index] if last is None else (*dialogue.turns[: index - 1], last)
    return Dialogue.model_construct(scenario=dialogue.scenario, turns=turns)


def negative_turn(
    turns: Sequence[PersuaderTurn | PersuadeeTurn],
    foreign: Sequence[PersuaderTurn],
    rng: np.random.Generator,
) -> PersuaderTurn:
    """A turn that gives no reason, in place of the last of these turns.

    Args:
        turns: of a dialogue that ends with a persuader's.
        foreign: persuader turns of other scenarios; small talk in their place if there are none.
        rng: of all draws.
    """
    persuader_turns = [turn for turn in turns if isinstance(turn, PersuaderTurn)]
    earlier, last = persuader_turns[:-1], persuader_turns[-1]
    kind = rng.random()
    if kind < _P_EMPTY:
        return PersuaderTurn(response="")
    if kind < _P_EMPTY + _P_SMALL_TALK:
        return PersuaderTurn(response=_SMALL_TALK[int(rng.integers(len(_SMALL_TALK)))])
    if kind < _P_EMPTY + _P_SMALL_TALK + _P_REPETITION and earlier:
        return earlier[int(rng.integers(len(earlier)))]
    if kind < _P_EMPTY + _P_SMALL_TALK + _P_REPETITION + _P_SHUFFLED:
        return PersuaderTurn(response=" ".join(rng.permutation(last.response.split())))
    turns_to_take = foreign or [PersuaderTurn(response=text) for text in _SMALL_TALK]
    return turns_to_take[int(rng.integers(len(turns_to_take)))]

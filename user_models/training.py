"""Fine-tunes a chat model to be the persuadee of recorded dialogues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from persuade_env.chat.checkpoint import save_checkpoint
from persuade_env.chat.embedded import EMBEDDED
from persuade_env.chat.lora import Example, LoraSettings, supervised_example, train_lora
from persuade_env.chat.transformers import load_tokenizer
from persuade_env.dialogue import (
    MAX_ATTITUDE,
    MIN_ATTITUDE,
    Decision,
    Dialogue,
    PersuadeeTurn,
    PersuaderTurn,
    ScenarioRecord,
)
from persuade_env.seeding import derive_seed, generator
from user_models.learned import render_reply, user_messages

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

_SILENCE, _SMALL_TALK, _REPETITION = 0.15, 0.25, 0.15
"""How often a fruitless turn is of these kinds; otherwise it is a turn from another scenario."""


@dataclass(frozen=True)
class UserModelSettings:
    """How the learned user is trained."""

    epochs: int = 3
    """Each pass rounds half attitudes anew and draws other counterfactual turns."""
    counterfactual_share: float = 0.5
    """Share of dialogues that are cut at a persuader turn which is replaced by a fruitless one:
    from another scenario, silence, small talk, or said before. It gives no reason, so it must
    not raise the attitude. Such dialogues train states alone, which also balances
    the few tokens of a state against the many words."""
    lora: LoraSettings = field(
        default_factory=lambda: LoraSettings(learning_rate=7e-4, batch_size=1)
    )


def user_examples(
    records: Sequence[ScenarioRecord], tokenizer: Any, settings: UserModelSettings, seed: int
) -> list[Example]:
    """Training examples: every recorded dialogue once per epoch, loss on persuadee turns alone.

    An attitude of 3.5 becomes the digit 3 or 4 with equal chance, so that the mean over
    the digits, which is how the attitude is read, learns the half.
    """
    spoken = [
        (record.id, turn)
        for record in records
        for dialogue in record.dialogues
        for turn in dialogue.turns
        if isinstance(turn, PersuaderTurn)
    ]
    examples = []
    for epoch in range(settings.epochs):
        for record in records:
            foreign = [turn for other, turn in spoken if other != record.id]
            for recorded in record.dialogues:
                rng = generator(derive_seed(seed, epoch, record.id, recorded.id))
                turns = list(recorded.turns)
                cut = bool(foreign) and rng.random() < settings.counterfactual_share
                if cut:
                    _make_fruitless(record, turns, foreign, rng)
                examples.append(_example(record, turns, tokenizer, rng, states_only=cut))
    return examples


def _make_fruitless(
    record: ScenarioRecord,
    turns: list[PersuaderTurn | PersuadeeTurn],
    foreign: Sequence[PersuaderTurn],
    rng: np.random.Generator,
) -> None:
    """Replaces one persuader turn, and the state that answers it; cuts what follows, in place."""
    places = [
        place
        for place, turn in enumerate(turns[:-1])
        if isinstance(turn, PersuaderTurn) and isinstance(turns[place + 1], PersuadeeTurn)
    ]
    place = places[int(rng.integers(len(places)))]
    before = record.initial_attitude
    for turn in turns[:place]:
        if isinstance(turn, PersuadeeTurn) and turn.attitude is not None:
            before = turn.attitude
    # Half the time it costs half a point: being talked past is not neutral.
    after = max(MIN_ATTITUDE, before - 0.5 * float(rng.integers(2)))
    earlier = [turn for turn in turns[:place] if isinstance(turn, PersuaderTurn)]
    turns[place] = _fruitless(earlier, foreign, rng)
    turns[place + 1 :] = [
        PersuadeeTurn(attitude=after, tone="skeptical", decision=Decision.CONTINUE, response="...")
    ]


def _fruitless(
    earlier: Sequence[PersuaderTurn], foreign: Sequence[PersuaderTurn], rng: np.random.Generator
) -> PersuaderTurn:
    kind = rng.random()
    if kind < _SILENCE:
        return PersuaderTurn(response="")
    if kind < _SILENCE + _SMALL_TALK:
        return PersuaderTurn(response=_IDLE[int(rng.integers(len(_IDLE)))])
    if kind < _SILENCE + _SMALL_TALK + _REPETITION and earlier:
        return earlier[int(rng.integers(len(earlier)))]
    return foreign[int(rng.integers(len(foreign)))]


def _example(
    record: ScenarioRecord,
    turns: Sequence[PersuaderTurn | PersuadeeTurn],
    tokenizer: Any,
    rng: np.random.Generator,
    *,
    states_only: bool,
) -> Example:
    dialogue = Dialogue(scenario=record.scenario, turns=tuple(turns))
    messages = user_messages(dialogue)
    assistant = [index for index, one in enumerate(messages) if one["role"] == "assistant"]
    partial = {}
    for index, turn in zip(assistant, dialogue.persuadee_turns, strict=True):
        digit = _rounded(turn, rng)
        content = render_reply(turn, digit)
        if states_only:  # up to the tone, which for a fruitless turn is made up
            partial[index] = len(f"{digit} {turn.decision.value}")
        messages[index] = {"role": "assistant", "content": content}
    trained = [
        index
        for index, turn in zip(assistant, dialogue.persuadee_turns, strict=True)
        if turn.attitude is not None
    ]
    return supervised_example(tokenizer, messages, trained, only_first_characters=partial)


def _rounded(turn: PersuadeeTurn, rng: np.random.Generator) -> str:
    """The attitude as a digit, rounded up with the probability of its fraction."""
    attitude = turn.attitude if turn.attitude is not None else 4.0
    whole = int(attitude)
    if turn.decision is Decision.ACCEPT:
        digit = whole + (attitude > whole)  # the digit that lets the state say `accept`
    else:
        digit = whole + int(rng.random() < attitude - whole)
    return str(int(min(MAX_ATTITUDE, max(MIN_ATTITUDE, digit))))


def train_user_model(
    records: Sequence[ScenarioRecord],
    folder: Path,
    *,
    base: str = EMBEDDED,
    settings: UserModelSettings | None = None,
    seed: int = 0,
    callbacks: Sequence[Any] = (),
) -> list[dict[str, float]]:
    """Trains the learned user on the dialogues of `records`; writes a checkpoint to `folder`.

    Returns:
        The training log, see `train_lora`.
    """
    settings = settings or UserModelSettings()
    tokenizer = load_tokenizer(base)
    examples = user_examples(records, tokenizer, settings, seed)
    adapter = folder / "adapter-0"
    log = train_lora(
        examples, adapter, tokenizer, base=base, settings=settings.lora, callbacks=callbacks
    )
    save_checkpoint(folder, "user_model", [adapter], base=base)
    return log

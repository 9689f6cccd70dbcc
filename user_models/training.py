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
from user_models.learned import render_reply, render_state, user_messages


@dataclass(frozen=True)
class UserModelSettings:
    """How the learned user is trained."""

    epochs: int = 2
    """Each pass rounds half attitudes anew and draws other counterfactual turns."""
    counterfactual_share: float = 0.4
    """Share of dialogues that are cut at a persuader turn which is replaced by one from
    another scenario: such a turn speaks to nothing, so it must not move the attitude.
    Only the attitude and the decision that follow it are trained on."""
    lora: LoraSettings = field(default_factory=LoraSettings)


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
                cut = None
                if foreign and rng.random() < settings.counterfactual_share:
                    cut = _counterfactual(record, turns, foreign, rng)
                examples.append(_example(record, turns, cut, tokenizer, rng))
    return examples


def _counterfactual(
    record: ScenarioRecord,
    turns: list[PersuaderTurn | PersuadeeTurn],
    foreign: Sequence[PersuaderTurn],
    rng: np.random.Generator,
) -> int:
    """Replaces one persuader turn, and the state that answers it; cuts what follows, in place.

    Returns:
        The index of the persuadee turn of which only the state is true.
    """
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
    tone = ("confused", "annoyed", "impatient", "skeptical")[int(rng.integers(4))]
    turns[place] = foreign[int(rng.integers(len(foreign)))]
    turns[place + 1 :] = [
        PersuadeeTurn(attitude=after, tone=tone, decision=Decision.CONTINUE, response="...")
    ]
    return place + 1


def _example(
    record: ScenarioRecord,
    turns: Sequence[PersuaderTurn | PersuadeeTurn],
    state_only: int | None,
    tokenizer: Any,
    rng: np.random.Generator,
) -> Example:
    dialogue = Dialogue(scenario=record.scenario, turns=tuple(turns))
    messages = user_messages(dialogue)
    assistant = [index for index, one in enumerate(messages) if one["role"] == "assistant"]
    partial = {}
    for index, turn in zip(assistant, dialogue.persuadee_turns, strict=True):
        digit = _rounded(turn, rng)
        content = render_reply(turn, digit)
        if state_only is not None and index == assistant[-1]:
            content = render_state(turn, digit)
            partial[index] = len(content) - len(turn.tone) - 1
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

"""Trains the learned user on recorded dialogues: first its chat model, then its attitude model."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from persuade_env.dialogue import (
    MAX_ATTITUDE,
    MIN_ATTITUDE,
    Decision,
    Dialogue,
    PersuadeeTurn,
    ScenarioRecord,
)
from persuade_env.llm.backends.transformers import load_chat
from persuade_env.llm.builtin_model import EMBEDDED
from persuade_env.llm.checkpoint import FILE as CHECKPOINT_FILE
from persuade_env.llm.checkpoint import save_checkpoint
from persuade_env.llm.loading import load_tokenizer
from persuade_env.llm.training.lora import (
    Example,
    scale_adapter,
    supervised_example,
    train_lora,
)
from persuade_env.seeding import derive_seed, generator
from user_models.learned.attitude_model import FILE as ATTITUDE_MODEL_FILE
from user_models.learned.attitude_regressor import ADAPTER as ATTITUDE_ADAPTER
from user_models.learned.attitude_regressor import FILE as ATTITUDE_REGRESSOR_FILE
from user_models.learned.encoder import TurnEncoder
from user_models.learned.prompt import user_messages
from user_models.learned.training.attitude_model import check_records, fit_attitude_model
from user_models.learned.training.attitude_regressor import fit_attitude_regressor
from user_models.learned.training.config import UserModelSettings
from user_models.learned.training.model_samples import FILE as SAMPLES_FILE
from user_models.learned.training.model_samples import model_samples, write_model_samples
from user_models.querying import Progress
from user_models.reply_format import StateConstraint, render_reply


def user_examples(
    records: Sequence[ScenarioRecord], tokenizer: Any, settings: UserModelSettings, seed: int
) -> list[Example]:
    """Training examples: every recorded dialogue once per epoch, loss on persuadee turns alone.

    An attitude of 3.5 becomes the digit 3 or 4 with equal probability, so that the mean over the
    digits, which is the attitude where no attitude model predicts it, learns the half.

    Args:
        records: recorded dialogues.
        tokenizer: of the model that is trained.
        settings: its `epochs`.
        seed: of the rounding.
    """
    return [
        _example(
            record.dialogue(recorded),
            tokenizer,
            derive_seed(seed, epoch, record.id, recorded.id),
        )
        for epoch in range(settings.epochs)
        for record in records
        for recorded in record.dialogues
    ]


def _example(dialogue: Dialogue, tokenizer: Any, seed: int) -> Example:
    rng = generator(seed)
    messages = user_messages(dialogue)
    assistant = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    trained = []
    for index, turn in zip(assistant, dialogue.persuadee_turns, strict=True):
        content = render_reply(turn, _rounded(turn, rng))
        messages[index] = {"role": "assistant", "content": content}
        if turn.attitude is not None:
            trained.append(index)
    return supervised_example(tokenizer, messages, trained)


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
    progress: Progress = lambda _: None,
) -> list[dict[str, float]]:
    """Trains the learned user on the dialogues of `records`; writes a checkpoint to `folder`.

    The chat model is trained first, since its samples are the implausible examples that a linear
    attitude model's plausibility test is fitted to. They are kept in the folder
    (`user_models.learned.training.model_samples`). A regressor needs none.

    Args:
        records: recorded dialogues.
        folder: made if need be; a checkpoint in it is replaced.
        base: name or path of the chat model to start from.
        settings: of both models.
        seed: of everything that is drawn.
        callbacks: of the chat model's trainer.
        progress: called with the number of dialogues that the regressor has just learned from, or
            of samples just drawn from the chat model for a linear attitude model.

    Returns:
        The training log, see `train_lora`.

    Raises:
        UserModelError: if an attitude model is wanted and `records` are too few for one, or the
            tokenizer can't write a state.
    """
    settings = settings or UserModelSettings()
    tokenizer = load_tokenizer(base)
    StateConstraint(tokenizer)  # refuses a tokenizer that can't write a state before training
    if settings.attitude_regressor or settings.attitude_model:
        check_records(records)
    folder.mkdir(parents=True, exist_ok=True)
    # An earlier checkpoint's parts must not be mixed with the new ones.
    for earlier in (CHECKPOINT_FILE, ATTITUDE_MODEL_FILE, ATTITUDE_REGRESSOR_FILE, SAMPLES_FILE):
        (folder / earlier).unlink(missing_ok=True)
    shutil.rmtree(folder / ATTITUDE_ADAPTER, ignore_errors=True)
    examples = user_examples(records, tokenizer, settings, seed)
    adapter = folder / "adapter-0"
    lora = replace(settings.lora, seed=derive_seed(seed, "chat model") % 2**32)
    log = train_lora(examples, adapter, tokenizer, base=base, settings=lora, callbacks=callbacks)
    scale_adapter(adapter, settings.adapter_scale)
    if settings.attitude_regressor is not None:
        regressor = fit_attitude_regressor(
            records,
            folder,
            derive_seed(seed, "attitude"),
            base=base,
            settings=settings.attitude_regressor,
            progress=progress,
        )
        (folder / ATTITUDE_REGRESSOR_FILE).write_text(regressor.model_dump_json(indent=1) + "\n")
    elif settings.attitude_model is not None:
        samples = model_samples(
            load_chat(base, adapters=[adapter]),
            records,
            settings.attitude_model.model_samples,
            derive_seed(seed, "own-words"),
            progress,
        )
        write_model_samples(samples, folder)
        attitude_model = fit_attitude_model(
            records,
            derive_seed(seed, "mind"),
            settings=settings.attitude_model,
            model_samples=samples,
            encoder=TurnEncoder.load(base),
        )
        (folder / ATTITUDE_MODEL_FILE).write_text(attitude_model.model_dump_json(indent=1) + "\n")
    save_checkpoint(
        folder, "user_model", [adapter], base=base
    )  # last: it marks the folder as complete
    return log

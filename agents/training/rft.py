"""Rejection sampling fine-tuning: the persuader learns from the best of n of its own turns.

A context's candidates are sampled from the SFT persuader and labelled with the attitude that the
user has after each (`agents.preferences.pool`); the loss is on the whole best turn, analysis,
strategy and response, and on nothing else (RAFT; Dong et al., 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.preferences.pool import BestTurn
from agents.training.config import RFTSettings
from persuade_env.errors import PersuadeError
from persuade_env.llm.checkpoint import adapter_paths, read_checkpoint, save_checkpoint
from persuade_env.llm.loading import load_tokenizer
from persuade_env.llm.training.logprobs import IGNORED
from persuade_env.llm.training.lora import Example, train_lora


def rft_examples(turns: Sequence[BestTurn]) -> list[Example]:
    """One example per turn: its own prompt, and loss on the tokens as they were sampled."""
    return [
        Example(
            [*turn.prompt_ids, *turn.token_ids],
            [*[IGNORED] * len(turn.prompt_ids), *turn.token_ids],
        )
        for turn in turns
    ]


def train_rft(
    turns: Sequence[BestTurn],
    sft_folder: Path,
    folder: Path,
    *,
    settings: RFTSettings | None = None,
    callbacks: Sequence[Any] = (),
) -> list[dict[str, float]]:
    """Trains a new adapter on top of the SFT checkpoint and writes a checkpoint to `folder`.

    Args:
        turns: at least one.
        sft_folder: checkpoint of the SFT persuader, which sampled the turns.
        folder: of the new checkpoint.
        settings: hyperparameters.
        callbacks: `transformers.TrainerCallback` objects.

    Returns:
        The training log; see `persuade_env.llm.training.lora.train_lora`.

    Raises:
        PersuadeError: if there are no turns, or all end after `lora.max_tokens`.
    """
    settings = settings or RFTSettings()
    if not turns:
        raise PersuadeError(
            "there is no turn to train on; sample more contexts or candidates, or lower min_lead"
        )
    limit = settings.lora.max_tokens
    turns = [turn for turn in turns if len(turn.prompt_ids) + len(turn.token_ids) <= limit]
    if not turns:
        raise PersuadeError(f"all turns end after {limit} tokens: raise lora.max_tokens")
    checkpoint = read_checkpoint(sft_folder, "persuader")
    sft_adapters = adapter_paths(sft_folder, checkpoint)
    adapter = folder / f"adapter-{len(sft_adapters)}"
    log = train_lora(
        rft_examples(turns) * settings.epochs,
        adapter,
        load_tokenizer(checkpoint.base),
        base=checkpoint.base,
        adapters=sft_adapters,
        settings=settings.lora,
        callbacks=callbacks,
    )
    save_checkpoint(folder, "persuader", [*sft_adapters, adapter], base=checkpoint.base)
    return log

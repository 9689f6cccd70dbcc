"""Supervised fine-tuning of the persuader on competent persuader turns (PersuGPT, stage 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.persuaders.prompts import persuader_messages
from persuade_env.dialogue import ScenarioRecord
from persuade_env.llm.builtin_model import EMBEDDED
from persuade_env.llm.checkpoint import save_checkpoint
from persuade_env.llm.loading import load_tokenizer
from persuade_env.llm.training.config import LoraSettings
from persuade_env.llm.training.lora import Example, supervised_example, train_lora
from persuade_env.protocols import persuader_view


@dataclass(frozen=True)
class SFTSettings:
    """How the SFT persuader is trained."""

    epochs: int = 1
    lora: LoraSettings = field(default_factory=LoraSettings)


def sft_examples(records: Sequence[ScenarioRecord], tokenizer: Any) -> list[Example]:
    """One example per dialogue that is not a poor persuader's, loss on the persuader's turns.

    Turns without an analysis (foreign data) are left out of the loss: the model is to
    learn the whole intent-to-strategy format.
    """
    examples = []
    for record in records:
        for recorded in record.dialogues:
            if recorded.quality == "poor":
                continue
            dialogue = persuader_view(record.dialogue(recorded))
            messages = persuader_messages(dialogue)
            assistant = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
            trained = [
                index
                for index, turn in zip(assistant, dialogue.persuader_turns, strict=True)
                if turn.analysis
            ]
            if trained:
                examples.append(supervised_example(tokenizer, messages[: trained[-1] + 1], trained))
    return examples


def train_sft(
    records: Sequence[ScenarioRecord],
    folder: Path,
    *,
    base: str = EMBEDDED,
    settings: SFTSettings | None = None,
    callbacks: Sequence[Any] = (),
) -> list[dict[str, float]]:
    """Trains the persuader and writes its checkpoint to `folder`; returns the training log."""
    settings = settings or SFTSettings()
    tokenizer = load_tokenizer(base)
    examples = sft_examples(records, tokenizer) * settings.epochs
    adapter = folder / "adapter-0"
    log = train_lora(
        examples, adapter, tokenizer, base=base, settings=settings.lora, callbacks=callbacks
    )
    save_checkpoint(folder, "persuader", [adapter], base=base)
    return log

"""Supervised fine-tuning of the persuader on competent persuader turns.

Stage 1 of PersuGPT (Jin et al., "Persuading across Diverse Domains", ACL 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.persuaders.prompts import persuader_messages
from agents.training.config import SFTSettings
from persuade_env.dialogue import ScenarioRecord
from persuade_env.llm.builtin_model import EMBEDDED
from persuade_env.llm.checkpoint import save_checkpoint
from persuade_env.llm.loading import load_tokenizer
from persuade_env.llm.training.lora import Example, supervised_example, train_lora
from persuade_env.protocols import persuader_view


def sft_examples(records: Sequence[ScenarioRecord], tokenizer: Any) -> list[Example]:
    """One training example per dialogue with good turns, with loss on these persuader turns.

    Nothing is learned from turns of poor persuaders, nor from the bad ones of mixed dialogues.
    Turns without an analysis (public data sets) are excluded from the loss, because the model
    should learn the complete intent-to-strategy format.
    """
    examples = []
    for record in records:
        for recorded in record.dialogues:
            dialogue = persuader_view(record.dialogue(recorded))
            messages = persuader_messages(dialogue)
            assistant = [
                index for index, message in enumerate(messages) if message["role"] == "assistant"
            ]
            trained = [
                index
                for index, turn in zip(assistant, dialogue.persuader_turns, strict=True)
                if turn.analysis and recorded.is_good(turn)
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
    """Trains the persuader and writes its checkpoint to `folder`.

    Args:
        records: scenarios with recorded dialogues.
        folder: of the checkpoint.
        base: name or path of the base model.
        settings: hyperparameters.
        callbacks: `transformers.TrainerCallback` objects.

    Returns:
        The training log; see `persuade_env.llm.training.lora.train_lora`.
    """
    settings = settings or SFTSettings()
    tokenizer = load_tokenizer(base)
    examples = sft_examples(records, tokenizer) * settings.epochs
    adapter = folder / "adapter-0"
    log = train_lora(
        examples, adapter, tokenizer, base=base, settings=settings.lora, callbacks=callbacks
    )
    save_checkpoint(folder, "persuader", [adapter], base=base)
    return log

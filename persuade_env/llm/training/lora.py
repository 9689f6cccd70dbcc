"""Supervised fine-tuning of a chat model with LoRA (Hu et al., 2022), on token ids.

Both the user model and the SFT persuader are trained by it; they differ in which messages of a chat
the loss covers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from persuade_env.errors import PersuadeError
from persuade_env.llm.builtin_model import EMBEDDED
from persuade_env.llm.chat_template import encode_chat
from persuade_env.llm.checkpoint import ADAPTER_WEIGHTS
from persuade_env.llm.loading import load_merged
from persuade_env.llm.precision import training_dtype
from persuade_env.llm.training.config import LoraSettings
from persuade_env.llm.training.logprobs import IGNORED, score_labels_only
from persuade_env.llm.training.schedule import WarmCosineSchedule
from persuade_env.protocols import Message

TARGET_MODULES = ("q_proj", "v_proj", "down_proj")
"""The layers that get an adapter. Adapters on all seven linear layers of a Llama block would make a
step 1.5 times as long on a CPU (`docs/results/performance.md`)."""


@dataclass(frozen=True)
class Example:
    """One chat as token ids, with labels (`IGNORED` outside of the loss).

    >>> Example(input_ids=[5, 6], labels=[IGNORED, 6]).labels
    [-100, 6]
    """

    input_ids: list[int]
    labels: list[int]


def lora_config(rank: int) -> Any:
    """The PEFT configuration of a new adapter, with alpha twice the rank."""
    from peft import LoraConfig

    return LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=list(TARGET_MODULES), task_type="CAUSAL_LM"
    )


def supervised_example(
    tokenizer: Any,
    messages: Sequence[Message],
    trained: Iterable[int],
) -> Example:
    """A chat whose loss covers the assistant messages at the indices `trained`, end token included.

    Args:
        tokenizer: with a chat template that renders the start of a chat as a prefix of the whole.
        messages: the whole chat; the last message is an assistant's.
        trained: indices of assistant messages.

    Raises:
        ValueError: if the template or tokenizer changes earlier tokens when a chat continues,
            because training and sampling would then use different tokens.
    """
    input_ids = encode_chat(tokenizer, messages, reply_follows=False)
    labels = [IGNORED] * len(input_ids)
    for index in trained:
        prompt = encode_chat(tokenizer, messages[:index])
        whole = encode_chat(tokenizer, messages[: index + 1], reply_follows=False)
        reply = whole[len(prompt) :]
        # A template may add a line break after the end token, where sampling stops.
        end = len(reply) - reply[::-1].index(tokenizer.eos_token_id)
        reply = reply[:end]
        stop = len(prompt) + len(reply)
        if input_ids[:stop] != prompt + reply:
            raise ValueError(
                f"message {index} tokenizes differently inside the chat than at its end"
            )
        labels[len(prompt) : stop] = reply
    return Example(input_ids, labels)


def train_lora(
    examples: Sequence[Example],
    output: Path,
    tokenizer: Any,
    *,
    base: str = EMBEDDED,
    adapters: Sequence[Path] = (),
    settings: LoraSettings | None = None,
    callbacks: Sequence[Any] = (),
) -> list[dict[str, float]]:
    """Trains a LoRA adapter with TRL's `SFTTrainer` and saves it to `output`.

    Args:
        examples: at least one.
        output: folder of the adapter.
        tokenizer: of the base model.
        base: name or path of the base model.
        adapters: folders of earlier adapters, merged into the base before.
        settings: hyperparameters.
        callbacks: `transformers.TrainerCallback` objects.

    Raises:
        PersuadeError: if there are no examples.

    Returns:
        The training log: one mapping per logged step with `step`, `loss` (natural log, per
        trained token), `grad_norm`, `learning_rate` and TRL's other metrics.
    """
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    settings = settings or LoraSettings()
    if not examples:
        raise PersuadeError("there is nothing to train on: no dialogue with turns to learn")
    dataset = Dataset.from_list(
        [{"input_ids": example.input_ids, "labels": example.labels} for example in examples]
    )
    steps = settings.max_steps
    if steps < 0:
        steps = math.ceil(len(examples) / settings.batch_size)
    cuda = torch.cuda.is_available()
    config = SFTConfig(
        output_dir=str(output / "trainer"),
        max_steps=steps,
        per_device_train_batch_size=min(settings.micro_batch_size, settings.batch_size),
        gradient_accumulation_steps=max(1, settings.batch_size // settings.micro_batch_size),
        learning_rate=settings.learning_rate,
        warmup_steps=max(1, round(settings.warmup_share * steps)),
        max_length=settings.max_tokens,
        train_sampling_strategy="group_by_length",  # less padding
        gradient_checkpointing=False,
        use_cpu=not cuda,
        bf16=False,  # no autocast: the weights have their format already
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=settings.seed,
        data_seed=settings.seed,
    )

    class LoraTrainer(WarmCosineSchedule, SFTTrainer):
        """An `SFTTrainer` without a first step at learning rate 0."""

    trainer = LoraTrainer(
        model=load_merged(base, adapters, dtype=training_dtype()),
        args=config,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=lora_config(settings.rank),
        callbacks=list(callbacks),
    )
    score_labels_only(cast(Any, trainer.model).get_base_model())
    trainer.remove_callback(PrinterCallback)  # its output would break the progress bar
    trainer.train()
    cast(Any, trainer.model).save_pretrained(output)
    return [entry for entry in trainer.state.log_history if "loss" in entry]


def scale_adapter(adapter: Path, factor: float) -> None:
    """Scales the weight update of a saved LoRA adapter in place: 0 undoes it, 1 leaves it.

    Values between 0 and 1 interpolate linearly between the base and the tuned model, which often
    keeps most of the tuned model's gain and more of the base model's ability (Wortsman et al.,
    2022).
    """
    from safetensors.torch import load_file, save_file

    file = adapter / ADAPTER_WEIGHTS
    weights = load_file(file)
    # The update is the product B A, so only B is scaled.
    scaled = {
        name: weight * factor if "lora_B" in name else weight for name, weight in weights.items()
    }
    save_file(scaled, file, metadata={"format": "pt"})

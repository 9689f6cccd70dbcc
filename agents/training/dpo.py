"""Direct preference optimization (Rafailov et al., 2023) of the persuader, with TRL's trainer.

It trains a LoRA adapter on top of the SFT persuader, which is also the reference, on simulated
preferences (stage 2 of PersuGPT; Jin et al., ACL 2024).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from agents.preferences.data import Preference
from agents.training.config import DPOSettings
from persuade_env.errors import PersuadeError
from persuade_env.llm.checkpoint import adapter_paths, read_checkpoint, save_checkpoint
from persuade_env.llm.loading import load_merged, load_tokenizer
from persuade_env.llm.precision import training_dtype
from persuade_env.llm.training.logprobs import read_prompt_once, score_labels_only
from persuade_env.llm.training.lora import lora_config
from persuade_env.llm.training.schedule import WarmCosineSchedule
from persuade_env.seeding import derive_seed, generator

_log = logging.getLogger(__name__)


def train_dpo(
    pairs: Sequence[Preference],
    sft_folder: Path,
    folder: Path,
    *,
    settings: DPOSettings | None = None,
    callbacks: Sequence[Any] = (),
) -> list[dict[str, float]]:
    """Trains on preference pairs, from the SFT checkpoint, and writes a checkpoint to `folder`.

    The loss uses the pairs' token ids as they were sampled, without tokenizing again.

    Args:
        pairs: at least one.
        sft_folder: checkpoint of the SFT persuader.
        folder: of the new checkpoint.
        settings: hyperparameters.
        callbacks: `transformers.TrainerCallback` objects.

    Returns:
        The training log: one mapping per step with `loss` (ln 2 at the first), `rewards/margins`,
        `rewards/accuracies` and TRL's other metrics; after each epoch also, of pairs that are held
        out, `held_out/loss`, `held_out/accuracy`, `held_out/margin` and `held_out/kl` (nats per
        turn, an estimate).

    Raises:
        PersuadeError: if there are no pairs, or all are longer than `max_tokens`.
    """
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import DPOConfig, DPOTrainer

    class SampledTokensTrainer(WarmCosineSchedule, DPOTrainer):
        """A `DPOTrainer` whose data set holds token ids and is not rendered and tokenized again."""

        def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
            return dataset

    settings = settings or DPOSettings()
    if not pairs:
        raise PersuadeError(
            "there are no preference pairs to train on; simulate more contexts or lower the margin"
        )
    whole = [pair for pair in pairs if _length(pair) <= settings.max_tokens]
    if not whole:
        raise PersuadeError(
            f"all {len(pairs)} pairs have more than {settings.max_tokens} tokens: raise max_tokens"
        )
    if len(whole) < len(pairs):
        _log.warning(
            "%d of %d pairs have more than %d tokens and are left out",
            len(pairs) - len(whole),
            len(pairs),
            settings.max_tokens,
        )
    checkpoint = read_checkpoint(sft_folder, "persuader")
    sft_adapters = adapter_paths(sft_folder, checkpoint)
    trained, held_out = hold_out(whole, settings.held_out_share, settings.seed)
    steps = settings.max_steps
    if steps < 0:
        steps = settings.epochs * math.ceil(len(trained) / settings.batch_size)
    adapter = folder / f"adapter-{len(sft_adapters)}"
    trainer = SampledTokensTrainer(
        model=load_merged(checkpoint.base, sft_adapters, dtype=training_dtype()),
        ref_model=None,  # TRL disables the PEFT adapter, which gives the SFT persuader
        args=DPOConfig(
            output_dir=str(adapter / "trainer"),
            beta=settings.beta,
            max_steps=steps,
            per_device_train_batch_size=1,
            per_device_eval_batch_size=1,
            eval_strategy="steps" if held_out else "no",
            eval_steps=max(1, steps // max(1, settings.epochs)),
            gradient_accumulation_steps=settings.batch_size,
            learning_rate=settings.learning_rate,
            warmup_steps=max(1, round(settings.warmup_share * steps)),
            max_length=settings.max_tokens,
            gradient_checkpointing=False,
            use_cpu=not torch.cuda.is_available(),
            bf16=False,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            seed=settings.seed,
            data_seed=settings.seed,
        ),
        train_dataset=Dataset.from_list(_rows(trained)),
        eval_dataset=Dataset.from_list(_rows(held_out)) if held_out else None,
        processing_class=load_tokenizer(checkpoint.base),
        peft_config=lora_config(settings.rank),
        callbacks=list(callbacks),
    )
    model = cast(Any, trainer.model).get_base_model()
    score_labels_only(model)
    read_prompt_once(model)
    trainer.remove_callback(PrinterCallback)  # its output would break the progress bar
    trainer.train()
    cast(Any, trainer.model).save_pretrained(adapter)
    save_checkpoint(folder, "persuader", [*sft_adapters, adapter], base=checkpoint.base)
    return _with_held_out(trainer.state.log_history, settings.beta)


def _length(pair: Preference) -> int:
    """Tokens of the prompt and the longer turn; trainers would cut the turn's end off."""
    return len(pair.prompt_ids) + max(len(pair.chosen_ids), len(pair.rejected_ids))


def hold_out(
    pairs: Sequence[Preference], share: float, seed: int
) -> tuple[list[Preference], list[Preference]]:
    """Pairs to train on, and about `share` of them from other scenarios to test on.

    Scenarios are drawn whole, since contexts of one scenario resemble each other. With a single
    scenario, or a share of 0, nothing is held out.
    """
    names = sorted({pair.scenario_id for pair in pairs})
    order = generator(derive_seed(seed, "held-out pairs")).permutation(len(names))
    chosen: set[str] = set()
    count = 0
    for name in (names[index] for index in order[: len(names) - 1]):
        if count >= round(share * len(pairs)):
            break
        chosen.add(name)
        count += sum(pair.scenario_id == name for pair in pairs)
    trained = [pair for pair in pairs if pair.scenario_id not in chosen]
    return trained, [pair for pair in pairs if pair.scenario_id in chosen]


def _rows(pairs: Sequence[Preference]) -> list[dict[str, list[int]]]:
    return [
        {
            "prompt_ids": list(pair.prompt_ids),
            "chosen_ids": list(pair.chosen_ids),
            "rejected_ids": list(pair.rejected_ids),
        }
        for pair in pairs
    ]


def _with_held_out(history: Sequence[dict[str, float]], beta: float) -> list[dict[str, float]]:
    """The steps of a trainer's log, with what was found on held-out pairs after some of them.

    The held-out turns were sampled from the reference, so the mean of log reference - log policy
    over them estimates the divergence KL(reference || policy) of a turn. Best and worst turns are
    no random sample, but taken together their selection cancels to first order.
    """
    log: list[dict[str, float]] = []
    for entry in history:
        if "loss" in entry:
            log.append(dict(entry))
        elif "eval_loss" in entry and log:
            rewards = entry["eval_rewards/chosen"] + entry["eval_rewards/rejected"]
            log[-1] |= {
                "held_out/loss": entry["eval_loss"],
                "held_out/accuracy": entry["eval_rewards/accuracies"],
                "held_out/margin": entry["eval_rewards/margins"],
                "held_out/kl": -rewards / (2 * beta),
            }
    return log

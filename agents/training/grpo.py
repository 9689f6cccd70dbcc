"""Group-relative policy optimization of a persuader over whole dialogues, by TRL's trainer.

Each group plays one scenario with one episode seed, several times; what a dialogue earned is
compared with its group's mean (Shao et al., "DeepSeekMath", 2024). A dialogue is one completion:
the persuader's tokens as they were sampled, and between them the user's, masked out
of the loss. A dialogue that failed is unscorable, not worth 0.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader
from agents.persuaders.prompts import persuader_messages
from agents.training.config import GRPOSettings
from agents.training.metrics import describe
from agents.training.policy import samples_merged, sampling_copy
from persuade_env.dialogue import Dialogue, Scenario
from persuade_env.episode import Episode, start, step
from persuade_env.errors import PersuadeError
from persuade_env.llm.backends.transformers import TransformersChat
from persuade_env.llm.checkpoint import adapter_paths, read_checkpoint, save_checkpoint
from persuade_env.llm.loading import load_merged, load_tokenizer
from persuade_env.llm.precision import training_dtype
from persuade_env.llm.training.lora import TARGET_MODULES
from persuade_env.protocols import Completion, Message, Persuader, UserModel, persuader_view
from persuade_env.rewards import Reward
from persuade_env.seeding import derive_seed, generator


@dataclass
class Trajectory:
    """A dialogue as tokens: the first prompt, and all that followed."""

    prompt_ids: list[int]
    completion_ids: list[int]
    mask: list[int]
    """1 for the persuader's own tokens."""
    logprobs: list[float]
    reward: float | None
    """None for a dialogue that failed."""
    turns: int
    """Persuader turns in the trajectory."""


def trajectory(episode: Episode, completions: Sequence[Completion]) -> Trajectory:
    """Joins an episode's sampled turns into one sequence.

    What stands between two turns is what the later one was prompted with. A turn whose
    prompt does not go on from the tokens as they were sampled (the earlier turn was not in the
    format, and reads differently in the history) ends the trajectory: no loss sees other
    tokens than the sampler did. The reward is the whole episode's all the same.
    """
    first = completions[0]
    made = Trajectory(
        list(first.prompt_ids),
        list(first.token_ids),
        [1] * len(first.token_ids),
        list(first.logprobs),
        episode.episode_return if episode.valid else None,
        1,
    )
    for one in completions[1:]:
        so_far = made.prompt_ids + made.completion_ids
        prompt = list(one.prompt_ids)
        if prompt[: len(so_far)] != so_far:
            break
        between = prompt[len(so_far) :]
        made.completion_ids += [*between, *one.token_ids]
        made.mask += [0] * len(between) + [1] * len(one.token_ids)
        made.logprobs += [0.0] * len(between) + list(one.logprobs)
        made.turns += 1
    return made


def play_group(
    persuader: Persuader,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    seeds: Sequence[int],
    samples: Sequence[int],
    reward: Reward,
    max_turns: int,
) -> tuple[list[Episode], list[Trajectory]]:
    """Plays dialogues side by side; each as an episode and as tokens.

    Args:
        seeds: the episodes'; equal ones meet the same user.
        samples: what tells apart the persuader's draws in episodes of one seed.
    """
    episodes = [start(one, seed) for one, seed in zip(scenarios, seeds, strict=True)]
    said: list[list[Completion]] = [[] for _ in episodes]
    while running := [index for index, one in enumerate(episodes) if not one.done]:
        current = [episodes[index] for index in running]
        replies = persuader.act(
            [persuader_view(one.dialogue) for one in current],
            [
                derive_seed(episodes[index].seed, "sample", samples[index], episodes[index].turn)
                for index in running
            ],
        )
        for index, episode, reply in zip(
            running, step(current, replies, user_model, reward, max_turns), replies, strict=True
        ):
            episodes[index] = episode
            if reply.completion is not None and reply.completion.token_ids:
                said[index].append(reply.completion)
    for episode, completions in zip(episodes, said, strict=True):
        if not completions:
            raise PersuadeError(f"the persuader sampled nothing in {episode.scenario.id}")
    return episodes, [trajectory(one, turns) for one, turns in zip(episodes, said, strict=True)]


def make_trainer(
    model: Any,
    tokenizer: Any,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    folder: Path,
    settings: GRPOSettings,
    *,
    speak: Callable[[TransformersChat], Persuader],
    render: Callable[[Dialogue], list[Message]] = persuader_messages,
    peft_config: Any = None,
    callbacks: Sequence[Any] = (),
    played: Callable[[list[Episode]], None] = lambda _: None,
) -> Any:
    """TRL's `GRPOTrainer`, whose dialogues come from the environment's own step.

    Args:
        model: what is trained, in memory; it also samples.
        speak: makes the persuader that samples from a chat model.
        render: the chat that this persuader continues in an empty dialogue.
        played: told the dialogues of each step.
    """
    import torch
    from datasets import Dataset as Table
    from transformers import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    reward = Reward(dict(settings.reward))
    by_prompt = {_key(render(persuader_view(Dialogue(scenario=one)))): one for one in scenarios}
    rng = generator(derive_seed(settings.seed, "grpo"))
    wanted = settings.steps * settings.groups
    rows = [list(by_prompt)[int(rng.integers(len(by_prompt)))] for _ in range(wanted)]
    calls = 0

    def roll_out(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        nonlocal calls
        training = trainer.model.training
        merging = samples_merged(trainer.model)
        chat = TransformersChat(
            sampling_copy(trainer.model) if merging else trainer.model,
            tokenizer,
            fast=merging,
            top_k=1024,
            max_context_tokens=4096,
        )
        keys = [_key(prompt) for prompt in prompts]
        count = settings.group_size
        groups = [index // count for index in range(len(keys))]
        episodes, made = play_group(
            speak(chat),
            user_model,
            [by_prompt[key] for key in keys],
            [derive_seed(settings.seed, "grpo", calls, group) for group in groups],
            [index % count for index in range(len(keys))],
            reward,
            settings.max_turns,
        )
        calls += 1
        played(episodes)
        trainer.model.train(training)
        return {
            "prompt_ids": [one.prompt_ids for one in made],
            "completion_ids": [one.completion_ids for one in made],
            "logprobs": [one.logprobs for one in made],
            "env_mask": [one.mask for one in made],
            "earned": [one.reward for one in made],
        }

    def earned(completions: list[Any], earned: list[float | None], **_: Any) -> list[float | None]:
        return earned

    batch = settings.groups * settings.group_size
    few = 2 if batch % 2 == 0 else 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*rollout_func.*experimental.*")
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=earned,
            rollout_func=roll_out,
            args=GRPOConfig(
                output_dir=str(folder / "trainer"),
                max_steps=settings.steps,
                # Generated together, then trained on a few at a time, whose gradients add up.
                per_device_train_batch_size=few,
                gradient_accumulation_steps=batch // few,
                num_generations=settings.group_size,
                max_completion_length=settings.max_turns * (settings.max_reply_tokens + 128),
                learning_rate=settings.learning_rate,
                beta=settings.beta,
                temperature=settings.temperature,
                lr_scheduler_type="constant",
                gradient_checkpointing=False,
                use_cpu=not torch.cuda.is_available(),
                bf16=False,
                shuffle_dataset=False,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                seed=settings.seed,
            ),
            train_dataset=Table.from_list([{"prompt": json.loads(key)} for key in rows]),
            processing_class=tokenizer,
            peft_config=peft_config,
            callbacks=list(callbacks),
        )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _key(messages: Sequence[Message]) -> str:
    return json.dumps([dict(one) for one in messages], sort_keys=True, ensure_ascii=False)


def train_grpo(
    sft_folder: Path,
    folder: Path,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    *,
    settings: GRPOSettings | None = None,
    callbacks: Sequence[Any] = (),
) -> list[dict[str, float]]:
    """Trains from the SFT checkpoint against a user model; writes a checkpoint to `folder`.

    Returns:
        The training log: per step `reward`, `reward_std`, `kl`, `completions/mean_length` and
        TRL's other metrics, what `agents.training.metrics.describe` says of its dialogues,
        `seconds`.
    """
    from peft import LoraConfig

    settings = settings or GRPOSettings()
    checkpoint = read_checkpoint(sft_folder, "persuader")
    sft_adapters = adapter_paths(sft_folder, checkpoint)

    def speak(chat: TransformersChat) -> Persuader:
        return IntentToStrategyPersuader(
            chat,
            max_reply_tokens=settings.max_reply_tokens,
            temperature=settings.temperature,
            top_p=1.0,
            repair=False,
        )

    steps: list[dict[str, float]] = []
    clock = _clock()
    trainer = make_trainer(
        load_merged(checkpoint.base, sft_adapters, dtype=training_dtype()),
        load_tokenizer(checkpoint.base),
        user_model,
        scenarios,
        folder,
        settings,
        speak=speak,
        peft_config=LoraConfig(
            r=settings.rank,
            lora_alpha=2 * settings.rank,
            target_modules=list(TARGET_MODULES),
            task_type="CAUSAL_LM",
        ),
        callbacks=[*callbacks, clock],
        played=lambda episodes: steps.append(describe(episodes)),
    )
    trainer.train()
    adapter = folder / f"adapter-{len(sft_adapters)}"
    cast(Any, trainer.model).save_pretrained(adapter)
    save_checkpoint(folder, "persuader", [*sft_adapters, adapter], base=checkpoint.base)
    log = [entry for entry in trainer.state.log_history if "reward" in entry]
    return [
        entry | told | {"seconds": seconds}
        for entry, told, seconds in zip(log, steps, clock.seconds, strict=True)
    ]


def _clock() -> Any:
    """A callback that keeps how long each step took, its dialogues included."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self._began = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.seconds.append(time.perf_counter() - self._began)

    return Clock()

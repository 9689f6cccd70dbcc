"""Group-relative policy optimization (GRPO) of a persuader on dialogues, with TRL's trainer.

The dialogues of a group share a scenario and an episode seed, and the advantage of a dialogue is
its return relative to the group's mean (Shao et al., "DeepSeekMath", 2024). A dialogue is one
completion: the persuader's sampled tokens, and between them the user's, which are masked out of
the loss. A dialogue that failed has no reward, rather than a reward of 0.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader
from agents.training.config import GRPOSettings
from agents.training.metrics import episode_metrics
from agents.training.policy import samples_from_copy, sampling_copy
from persuade_env.dialogue import Scenario
from persuade_env.episode import Episode, start
from persuade_env.errors import PersuadeError
from persuade_env.llm.backends.transformers import TransformersChat
from persuade_env.llm.checkpoint import adapter_paths, read_checkpoint, save_checkpoint
from persuade_env.llm.loading import load_merged, load_tokenizer
from persuade_env.llm.precision import training_dtype
from persuade_env.llm.training.lora import lora_config
from persuade_env.metrics import MetricsLogger
from persuade_env.protocols import (
    Completion,
    Persuader,
    PersuaderReply,
    UserModel,
    persuader_view,
)
from persuade_env.rewards import Reward
from persuade_env.rollout import play
from persuade_env.seeding import derive_seed, generator


@dataclass
class Trajectory:
    """A dialogue as one token sequence: the first prompt, and all later tokens as completion.

    >>> Trajectory([1, 2], [3], mask=[1], logprobs=[-0.5], reward=1.0, turns=1).turns
    1
    """

    prompt_ids: list[int]
    completion_ids: list[int]
    mask: list[int]
    """1 for tokens that the persuader sampled, 0 for the user's."""
    logprobs: list[float]
    """0 where the mask is 0."""
    reward: float | None
    """None for a dialogue that failed."""
    turns: int
    """Persuader turns in the trajectory."""


def build_trajectory(episode: Episode, completions: Sequence[Completion]) -> Trajectory:
    """Joins an episode's sampled turns into one sequence.

    The tokens between two turns are those that the later turn's prompt adds. A turn whose
    prompt does not continue the tokens sampled so far (the earlier turn was malformed, and is
    rendered differently in the history) ends the trajectory, so that no loss is computed on tokens
    that were not sampled. The reward is the whole episode's in any case.
    """
    first = completions[0]
    whole = Trajectory(
        list(first.prompt_ids),
        list(first.token_ids),
        [1] * len(first.token_ids),
        list(first.logprobs),
        episode.episode_return if episode.valid else None,
        1,
    )
    for completion in completions[1:]:
        so_far = whole.prompt_ids + whole.completion_ids
        prompt = list(completion.prompt_ids)
        if prompt[: len(so_far)] != so_far:
            break
        between = prompt[len(so_far) :]
        whole.completion_ids += [*between, *completion.token_ids]
        whole.mask += [0] * len(between) + [1] * len(completion.token_ids)
        whole.logprobs += [0.0] * len(between) + list(completion.logprobs)
        whole.turns += 1
    return whole


def rollout_group(
    persuader: Persuader,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    seeds: Sequence[int],
    samples: Sequence[int],
    reward: Reward,
    max_turns: int,
) -> tuple[list[Episode], list[Trajectory]]:
    """Samples episodes in lockstep, and gives each also as a token sequence.

    Args:
        persuader: samples the turns; its replies have completions.
        user_model: answers them.
        scenarios: one for each episode.
        seeds: one for each episode; with equal seeds the user model draws the same numbers.
        samples: one for each episode; seeds the persuader in episodes of equal seed.
        reward: of each turn.
        max_turns: persuader turns per episode.
    """
    completions: list[list[Completion]] = [[] for _ in scenarios]

    def act(indices: Sequence[int], running: Sequence[Episode]) -> list[PersuaderReply]:
        return persuader.act(
            [persuader_view(episode.dialogue) for episode in running],
            [
                derive_seed(episode.seed, "sample", samples[index], episode.turn)
                for index, episode in zip(indices, running, strict=True)
            ],
        )

    def keep(index: int, reply: PersuaderReply, episode: Episode) -> None:
        if reply.completion is not None and reply.completion.token_ids:
            completions[index].append(reply.completion)

    episodes = play(
        [start(scenario, seed) for scenario, seed in zip(scenarios, seeds, strict=True)],
        act,
        user_model,
        reward=reward,
        max_turns=max_turns,
        on_turn=keep,
    )
    for episode, sampled in zip(episodes, completions, strict=True):
        if not sampled:
            raise PersuadeError(
                f"the persuader sampled nothing in {episode.scenario.id} ({episode.error_kind})"
            )
    return episodes, [
        build_trajectory(episode, sampled)
        for episode, sampled in zip(episodes, completions, strict=True)
    ]


def make_trainer(
    model: Any,
    tokenizer: Any,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    folder: Path,
    settings: GRPOSettings,
    *,
    make_persuader: Callable[[TransformersChat], Persuader],
    peft_config: Any = None,
    callbacks: Sequence[Any] = (),
    on_episodes: Callable[[list[Episode]], None] = lambda _: None,
) -> Any:
    """TRL's `GRPOTrainer` with rollouts by the same step function as the environments.

    Args:
        model: is trained, and sampled from.
        tokenizer: of the model.
        user_model: answers the persuader.
        scenarios: to sample from.
        folder: for the trainer's files.
        settings: hyperparameters.
        make_persuader: makes the persuader that samples from a chat model.
        peft_config: of a new adapter; without one all weights are trained.
        callbacks: `transformers.TrainerCallback` objects.
        on_episodes: called with the episodes of each step.
    """
    import torch
    from datasets import Dataset as Table
    from transformers import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    reward = Reward(dict(settings.reward))
    rng = generator(derive_seed(settings.seed, "grpo"))
    n_groups = settings.steps * settings.groups
    # TRL hands a row's prompt back and nothing else of it. It is a scenario's place in the list, as
    # scenarios that differ in the persona alone have the same first prompt.
    rows = [{"prompt": str(int(rng.integers(len(scenarios))))} for _ in range(n_groups)]
    calls = 0

    def roll_out(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        nonlocal calls
        training = trainer.model.training
        from_copy = samples_from_copy(trainer.model)
        chat = TransformersChat(
            sampling_copy(trainer.model) if from_copy else trainer.model,
            tokenizer,
            fast=from_copy,
            top_k=1024,
            max_context_tokens=4096,
        )
        count = settings.group_size
        groups = [index // count for index in range(len(prompts))]
        episodes, trajectories = rollout_group(
            make_persuader(chat),
            user_model,
            [scenarios[int(prompt)] for prompt in prompts],
            [derive_seed(settings.seed, "grpo", calls, group) for group in groups],
            [index % count for index in range(len(prompts))],
            reward,
            settings.max_turns,
        )
        calls += 1
        on_episodes(episodes)
        trainer.model.train(training)
        return {
            "prompt_ids": [trajectory.prompt_ids for trajectory in trajectories],
            "completion_ids": [trajectory.completion_ids for trajectory in trajectories],
            "logprobs": [trajectory.logprobs for trajectory in trajectories],
            "env_mask": [trajectory.mask for trajectory in trajectories],
            "earned": [trajectory.reward for trajectory in trajectories],
        }

    def earned(completions: list[Any], earned: list[float | None], **_: Any) -> list[float | None]:
        return earned

    batch_size = settings.groups * settings.group_size
    micro_batch_size = 2 if batch_size % 2 == 0 else 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*rollout_func.*experimental.*")
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=earned,
            rollout_func=roll_out,
            args=GRPOConfig(
                output_dir=str(folder / "trainer"),
                max_steps=settings.steps,
                # Generated as one batch, then trained on in micro-batches.
                per_device_train_batch_size=micro_batch_size,
                gradient_accumulation_steps=batch_size // micro_batch_size,
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
            train_dataset=Table.from_list(rows),
            processing_class=tokenizer,
            peft_config=peft_config,
            callbacks=list(callbacks),
        )
    trainer.remove_callback(PrinterCallback)
    return trainer


def train_grpo(
    sft_folder: Path,
    folder: Path,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    *,
    settings: GRPOSettings | None = None,
    callbacks: Sequence[Any] = (),
    metrics: MetricsLogger | None = None,
) -> list[dict[str, float]]:
    """Trains from the SFT checkpoint against a user model; writes a checkpoint to `folder`.

    Args:
        sft_folder: checkpoint of the SFT persuader, which is also the reference.
        folder: of the new checkpoint.
        user_model: answers the persuader.
        scenarios: to sample from.
        settings: hyperparameters.
        callbacks: `transformers.TrainerCallback` objects.
        metrics: takes what the episodes of each step were like, while it happens.

    Returns:
        The training log: per step `reward`, `reward_std`, `kl`, `completions/mean_length` and
        TRL's other metrics, those of `agents.training.metrics.episode_metrics`, and `seconds`.
    """
    settings = settings or GRPOSettings()
    checkpoint = read_checkpoint(sft_folder, "persuader")
    sft_adapters = adapter_paths(sft_folder, checkpoint)

    def make_persuader(chat: TransformersChat) -> Persuader:
        return IntentToStrategyPersuader(
            chat,
            max_reply_tokens=settings.max_reply_tokens,
            temperature=settings.temperature,
            top_p=1.0,
            repair=False,
        )

    steps: list[dict[str, float]] = []

    def keep(episodes: list[Episode]) -> None:
        steps.append(episode_metrics(episodes))
        if metrics is not None:
            metrics.log("grpo", len(steps), steps[-1])

    clock = _clock()
    trainer = make_trainer(
        load_merged(checkpoint.base, sft_adapters, dtype=training_dtype()),
        load_tokenizer(checkpoint.base),
        user_model,
        scenarios,
        folder,
        settings,
        make_persuader=make_persuader,
        peft_config=lora_config(settings.rank),
        callbacks=[*callbacks, clock],
        on_episodes=keep,
    )
    trainer.train()
    adapter = folder / f"adapter-{len(sft_adapters)}"
    cast(Any, trainer.model).save_pretrained(adapter)
    save_checkpoint(folder, "persuader", [*sft_adapters, adapter], base=checkpoint.base)
    log = [entry for entry in trainer.state.log_history if "reward" in entry]
    return [
        entry | numbers | {"seconds": seconds}
        for entry, numbers, seconds in zip(log, steps, clock.seconds, strict=True)
    ]


def _clock() -> Any:
    """A callback that records the duration of each step, including its rollouts."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self._began = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.seconds.append(time.perf_counter() - self._began)

    return Clock()

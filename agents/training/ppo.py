"""Token-level PPO of a language-model persuader on multi-turn dialogues.

A dialogue is one trajectory: its actions are the sampled tokens of the persuader's turns, and the
reward of a turn is given at its last token. Generalized advantage estimation runs over all
sampled tokens of a dialogue, so credit is assigned across turns. The user's tokens are part of
the prompts and never enter the loss.

Schulman et al., "Proximal Policy Optimization Algorithms", 2017; the KL penalty to the reference
with an adaptive coefficient is that of Ziegler et al., "Fine-Tuning Language Models from
Human Preferences", 2019. Sampling and training use the same weights in the same process, and
old log-probabilities come from the trainer's own forward pass, so the first ratio is 1.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader
from agents.training.config import PPOSettings
from agents.training.metrics import episode_metrics
from agents.training.policy import (
    Policy,
    SampledTurn,
    concat,
    group_by_prefix,
    samples_from_copy,
    sampling_copy,
)
from agents.training.ppo_loss import gae, ppo_loss
from agents.training.resume import load_state, save_state
from persuade_env.dialogue import Scenario
from persuade_env.episode import Episode, start
from persuade_env.llm.backends.transformers import TransformersChat
from persuade_env.llm.checkpoint import adapter_paths, read_checkpoint, save_checkpoint
from persuade_env.llm.loading import load_merged, load_tokenizer
from persuade_env.llm.precision import training_dtype
from persuade_env.llm.training.lora import lora_config
from persuade_env.protocols import Persuader, PersuaderReply, UserModel
from persuade_env.rewards import Reward
from persuade_env.rollout import acting, play
from persuade_env.seeding import derive_seed, generator


def collect(
    persuader: Persuader,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    seeds: Sequence[int],
    reward: Reward,
    max_turns: int,
) -> tuple[list[Episode], list[SampledTurn]]:
    """Samples one episode per scenario, with the same step function as the environments.

    Args:
        persuader: samples the turns; its replies have completions.
        user_model: answers them.
        scenarios: one for each episode.
        seeds: one for each episode.
        reward: of each turn.
        max_turns: persuader turns per episode.

    Returns:
        All episodes, and the sampled turns of the valid ones in order of time.
    """
    turns: list[SampledTurn] = []

    def keep(index: int, reply: PersuaderReply, episode: Episode) -> None:
        completion = reply.completion
        if episode.valid and completion is not None and completion.token_ids:
            turns.append(
                SampledTurn(index, completion.prompt_ids, completion.token_ids, episode.reward)
            )

    episodes = play(
        [start(scenario, seed) for scenario, seed in zip(scenarios, seeds, strict=True)],
        acting(persuader),
        user_model,
        reward=reward,
        max_turns=max_turns,
        on_turn=keep,
    )
    return episodes, [turn for turn in turns if episodes[turn.episode].valid]


def prepare(
    turns: Sequence[SampledTurn], policy: Policy, kl_weight: float, settings: PPOSettings
) -> None:
    """Fills in the `TokenBatch` fields of turns, with advantages standardized over all tokens.

    Args:
        turns: of one iteration; modified in place.
        policy: gives log-probabilities and values.
        kl_weight: of the penalty, where it is part of the reward.
        settings: discount, lambda, and where the KL penalty goes.
    """
    with torch.no_grad():
        for group in group_by_prefix(turns):
            logprobs, values, _ = policy.score(group)
            reference = policy.reference_logprobs(group)
            offset = 0
            for turn in group:
                tokens = slice(offset, offset + len(turn.token_ids))
                turn.logprobs, turn.values = logprobs[tokens], values[tokens]
                turn.reference = reference[tokens]
                offset = tokens.stop
    for episode in {turn.episode for turn in turns}:
        episode_turns = [turn for turn in turns if turn.episode == episode]
        rewards: list[float] = []
        for turn in episode_turns:
            token_rewards = torch.zeros(len(turn.token_ids))
            if settings.kl_in_reward:
                token_rewards -= kl_weight * (turn.logprobs - turn.reference).cpu()
            token_rewards[-1] += turn.reward
            rewards += token_rewards.tolist()
        predicted = torch.cat([turn.values for turn in episode_turns]).tolist()
        advantages, returns = gae(rewards, predicted, settings.gamma, settings.gae_lambda)
        offset = 0
        for turn in episode_turns:
            tokens = slice(offset, offset + len(turn.token_ids))
            device = turn.values.device
            turn.advantages = torch.tensor(advantages[tokens], dtype=torch.float32, device=device)
            turn.returns = torch.tensor(returns[tokens], dtype=torch.float32, device=device)
            offset = tokens.stop
    all_advantages = torch.cat([turn.advantages for turn in turns])
    scale = all_advantages.std() + 1e-8 if len(all_advantages) > 1 else torch.tensor(1.0)
    for turn in turns:
        turn.advantages = (turn.advantages - all_advantages.mean()) / scale


def update(
    turns: Sequence[SampledTurn],
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    kl_weight: float,
    rng: np.random.Generator,
    settings: PPOSettings,
) -> dict[str, float]:
    """Runs epochs of optimizer steps on one iteration's turns, until `stop_kl` is exceeded.

    Args:
        turns: prepared by `prepare`.
        policy: is trained.
        optimizer: of the policy's parameters.
        kl_weight: the current coefficient of the KL penalty.
        rng: shuffles the turns.
        settings: epochs, batch size and coefficients.

    Returns:
        Means per token over the last epoch: the parts of `ppo_loss`, and `stopped` (1 or 0).
    """
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    groups = group_by_prefix(turns)
    means: dict[str, float] = {}
    for _ in range(settings.epochs):
        totals: dict[str, float] = {}
        tokens = 0
        shuffled = [groups[index] for index in rng.permutation(len(groups))]
        for batch in _batches(shuffled, settings):
            count = sum(len(turn.token_ids) for group in batch for turn in group)
            step_kl = 0.0
            optimizer.zero_grad()
            for group in batch:
                scores = policy.score(group)
                loss, parts = ppo_loss(*scores, concat(group), kl_weight, settings)
                (loss / count).backward()
                for name, part in parts.items():
                    totals[name] = totals.get(name, 0.0) + float(part)
                step_kl += float(parts["step_kl"])
            tokens += count
            if step_kl / count > settings.stop_kl:
                return {name: total / tokens for name, total in totals.items()} | {"stopped": 1.0}
            torch.nn.utils.clip_grad_norm_(trained, settings.max_gradient_norm)
            optimizer.step()
        means = {name: total / tokens for name, total in totals.items()} | {"stopped": 0.0}
    return means


def _batches(
    groups: Sequence[list[SampledTurn]], settings: PPOSettings
) -> Iterator[list[list[SampledTurn]]]:
    """Batches of groups, each with at least `batch_turns` turns, except the last one."""
    batch: list[list[SampledTurn]] = []
    for group in groups:
        batch.append(group)
        if sum(map(len, batch)) >= settings.batch_turns:
            yield batch
            batch = []
    if batch:
        yield batch


class PPO:
    """The training loop: sample episodes, compute advantages, update, adapt the KL weight, save.

    Args:
        policy: is trained.
        tokenizer: of the policy's model.
        user_model: answers the persuader.
        scenarios: sampled without replacement within an iteration where there are enough.
        settings: hyperparameters.
        make_persuader: makes the persuader that samples from a chat model; by default one in the
            intent-to-strategy format.
        folder: for the training state and dialogues; an interrupted run in it is resumed.
    """

    def __init__(
        self,
        policy: Policy,
        tokenizer: Any,
        user_model: UserModel,
        scenarios: Sequence[Scenario],
        settings: PPOSettings,
        *,
        make_persuader: Callable[[TransformersChat], Persuader] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.policy, self.settings = policy, settings
        self.user_model, self.scenarios = user_model, scenarios
        self.folder = folder
        self._from_copy = samples_from_copy(policy.model)
        self.chat = TransformersChat(
            sampling_copy(policy.model) if self._from_copy else policy.model,
            tokenizer,
            fast=self._from_copy,
            top_k=1024,
        )
        self.persuader = (make_persuader or self._make_persuader)(self.chat)
        trained = [parameter for parameter in policy.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": trained, "lr": settings.learning_rate},
                {"params": policy.value_head.parameters(), "lr": settings.value_learning_rate},
            ],
            weight_decay=0.0,
        )
        self.reward = Reward(dict(settings.reward))
        self.kl_weight = settings.kl_weight
        self.log: list[dict[str, float]] = []
        earlier = load_state(folder, policy, self.optimizer) if folder is not None else None
        if earlier is not None:
            self.kl_weight, self.log = earlier["kl_weight"], earlier["log"]

    def _make_persuader(self, chat: TransformersChat) -> Persuader:
        settings = self.settings
        return IntentToStrategyPersuader(
            chat,
            max_reply_tokens=settings.max_reply_tokens,
            temperature=settings.temperature,
            top_p=1.0,  # samples from the policy itself, without truncation
            repair=False,  # a malformed turn gets its reward as it is
        )

    def train(self, report: Callable[[dict[str, float]], None] = lambda _: None) -> None:
        """Runs the remaining iterations; `report` is called with the metrics of each."""
        while len(self.log) < self.settings.iterations:
            self.log.append(self._iterate(len(self.log)))
            if self.folder is not None:
                progress = {"kl_weight": self.kl_weight, "log": self.log}
                save_state(self.folder, len(self.log), self.policy, self.optimizer, progress)
            report(self.log[-1])

    def _iterate(self, number: int) -> dict[str, float]:
        settings = self.settings
        began = time.perf_counter()
        rng = generator(derive_seed(settings.seed, "ppo", number))
        if self._from_copy:
            self.chat.use(sampling_copy(self.policy.model))
        replace = settings.episodes > len(self.scenarios)
        sampled = rng.choice(len(self.scenarios), settings.episodes, replace=replace)
        seeds = [
            derive_seed(settings.seed, "ppo", number, index) for index in range(settings.episodes)
        ]
        episodes, turns = collect(
            self.persuader,
            self.user_model,
            [self.scenarios[index] for index in sampled],
            seeds,
            self.reward,
            settings.max_turns,
        )
        metrics = {"iteration": float(number)} | episode_metrics(episodes)
        if self.folder is not None:
            self._save_dialogues(self.folder, episodes, number)
        metrics["seconds"] = time.perf_counter() - began
        if not turns:
            return metrics
        prepare(turns, self.policy, self.kl_weight, settings)
        returns = torch.cat([turn.returns for turn in turns])
        residuals = returns - torch.cat([turn.values for turn in turns])
        variance = float(returns.var()) if len(returns) > 1 else 0.0
        explained = 1 - float(residuals.var()) / variance if variance > 0 else 0.0
        metrics["explained_variance"] = explained
        metrics |= update(turns, self.policy, self.optimizer, self.kl_weight, rng, settings)
        metrics["kl_weight"] = self.kl_weight
        error = np.clip(metrics["kl"] / settings.kl_target - 1, -0.2, 0.2)
        self.kl_weight *= 1 + 0.5 * float(error)
        tokens = sum(len(turn.token_ids) for turn in turns)
        metrics["seconds"] = time.perf_counter() - began
        metrics["tokens_per_second"] = tokens / metrics["seconds"]
        return metrics

    def _save_dialogues(self, folder: Path, episodes: Sequence[Episode], number: int) -> None:
        target = folder / "dialogues"
        target.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(episode.to_json(), ensure_ascii=False) for episode in episodes[:3]]
        (target / f"{number:04d}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def train_ppo(
    sft_folder: Path,
    folder: Path,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    *,
    settings: PPOSettings | None = None,
    report: Callable[[dict[str, float]], None] = lambda _: None,
) -> list[dict[str, float]]:
    """Trains from the SFT checkpoint against a user model; writes a checkpoint to `folder`.

    Args:
        sft_folder: checkpoint of the SFT persuader, which is also the reference.
        folder: of the new checkpoint; an interrupted run in it is resumed.
        user_model: answers the persuader.
        scenarios: to sample from.
        settings: hyperparameters.
        report: called with the metrics of each iteration.

    Returns:
        One mapping per iteration: the metrics of `agents.training.metrics.episode_metrics`, the KL
        to the SFT persuader and its weight, entropy, clip fraction, explained variance, losses,
        and seconds.
    """
    from peft import get_peft_model

    settings = settings or PPOSettings()
    checkpoint = read_checkpoint(sft_folder, "persuader")
    sft_adapters = adapter_paths(sft_folder, checkpoint)
    torch.manual_seed(settings.seed)  # of the adapters' initial weights
    model = get_peft_model(
        load_merged(checkpoint.base, sft_adapters, dtype=training_dtype()),
        lora_config(settings.rank),
    )
    trainer = PPO(
        Policy(model, settings.temperature),
        load_tokenizer(checkpoint.base),
        user_model,
        scenarios,
        settings,
        folder=folder / "ppo",
    )
    trainer.train(report)
    adapter = folder / f"adapter-{len(sft_adapters)}"
    model.save_pretrained(str(adapter))
    save_checkpoint(folder, "persuader", [*sft_adapters, adapter], base=checkpoint.base)
    shutil.rmtree(folder / "ppo" / f"state-{len(trainer.log):04d}")
    return trainer.log

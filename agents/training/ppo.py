"""Proximal policy optimization of a language-model persuader, turn by turn, in the environment.

A dialogue is one trajectory: its actions are the sampled tokens of the persuader's turns, and
what a turn earned arrives at its last token. Generalized advantage estimation runs over all
tokens of a dialogue, so credit flows back through turns. The user's words are part of
the prompts and are never trained on.

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
from agents.training.metrics import describe
from agents.training.policy import (
    Policy,
    SampledTurn,
    TokenBatch,
    concat,
    group_by_prefix,
    samples_merged,
    sampling_copy,
)
from agents.training.resume import load_state, save_state
from persuade_env.dialogue import Scenario
from persuade_env.episode import Episode, start, step
from persuade_env.llm.backends.transformers import TransformersChat
from persuade_env.llm.checkpoint import adapter_paths, read_checkpoint, save_checkpoint
from persuade_env.llm.loading import load_merged, load_tokenizer
from persuade_env.llm.precision import training_dtype
from persuade_env.llm.training.lora import TARGET_MODULES
from persuade_env.protocols import Persuader, UserModel, persuader_view
from persuade_env.rewards import Reward
from persuade_env.seeding import derive_seed, generator


def gae(
    rewards: Sequence[float], values: Sequence[float], gamma: float, lam: float
) -> tuple[np.ndarray, np.ndarray]:
    """Advantages and returns, each (n,), of one trajectory whose end has value 0.

    A_t = sum_k (gamma lam)^k (r_{t+k} + gamma V_{t+k+1} - V_{t+k}); returns are A + V.
    """
    advantages = np.zeros(len(rewards))
    following, running = 0.0, 0.0
    for place in reversed(range(len(rewards))):
        surprise = rewards[place] + gamma * following - values[place]
        running = surprise + gamma * lam * running
        advantages[place] = running
        following = values[place]
    return advantages, advantages + np.asarray(values)


def ppo_loss(
    logprobs: torch.Tensor,
    values: torch.Tensor,
    entropy: torch.Tensor,
    sampled: TokenBatch,
    kl_weight: float,
    settings: PPOSettings,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss of a passage, summed over its sampled tokens, and its parts (sums as well).

    Args:
        logprobs, values, entropy: now, each (n_tokens,).
        sampled: the same tokens when they were sampled.

    Clipped surrogate, clipped value error, entropy bonus, and the KL to the reference by the
    unbiased, never negative estimator exp(d) - d - 1 with d = log ref - log policy (Schulman,
    "Approximating KL Divergence", 2020). It is of tokens drawn from the policy itself; these were
    drawn before its last updates, so each counts by its ratio. (Without it one token that the
    policy has left behind outweighs all others.)
    """
    ratio = torch.exp(logprobs - sampled.logprobs)
    clipped = ratio.clamp(1 - settings.clip, 1 + settings.clip)
    policy = -torch.min(ratio * sampled.advantages, clipped * sampled.advantages).sum()
    before, most = sampled.values, settings.value_clip
    near = before + (values - before).clamp(-most, most)
    error = torch.max((values - sampled.returns) ** 2, (near - sampled.returns) ** 2)
    value = 0.5 * error.sum()
    distance = sampled.reference - logprobs
    kl = (ratio * (torch.exp(distance) - distance - 1)).sum()
    in_loss = 0.0 if settings.kl_in_reward else kl_weight
    loss = (
        policy
        + settings.value_weight * value
        - settings.entropy_weight * entropy.sum()
        + in_loss * kl
    )
    step_kl = sampled.logprobs - logprobs
    parts = {
        "policy_loss": policy,
        "value_loss": value,
        "entropy": entropy.sum(),
        "kl": kl,
        "clip_fraction": ((ratio - 1).abs() > settings.clip).float().sum(),
        "step_kl": (torch.exp(-step_kl) + step_kl - 1).sum(),
    }
    return loss, {name: part.detach() for name, part in parts.items()}


def collect(
    persuader: Persuader,
    user_model: UserModel,
    scenarios: Sequence[Scenario],
    seeds: Sequence[int],
    reward: Reward,
    max_turns: int,
) -> tuple[list[Episode], list[SampledTurn]]:
    """Plays one dialogue per scenario; the turns of valid episodes, in order of time.

    What the environments do at each step is done here by the same functions.
    """
    episodes = [start(one, seed) for one, seed in zip(scenarios, seeds, strict=True)]
    turns: list[SampledTurn] = []
    while running := [index for index, one in enumerate(episodes) if not one.done]:
        current = [episodes[index] for index in running]
        replies = persuader.act(
            [persuader_view(one.dialogue) for one in current],
            [derive_seed(one.seed, "persuader", one.turn) for one in current],
        )
        moved = step(current, replies, user_model, reward, max_turns)
        for index, episode, reply in zip(running, moved, replies, strict=True):
            episodes[index] = episode
            said = reply.completion
            if episode.valid and said is not None and said.token_ids:
                turns.append(SampledTurn(index, said.prompt_ids, said.token_ids, episode.reward))
    return episodes, [turn for turn in turns if episodes[turn.episode].valid]


def prepare(
    turns: Sequence[SampledTurn], policy: Policy, kl_weight: float, settings: PPOSettings
) -> None:
    """Scores the turns under policy and reference, and gives each token its advantage."""
    with torch.no_grad():
        for passage in group_by_prefix(turns):
            logprobs, values, _ = policy.score(passage)
            reference = policy.reference_logprobs(passage)
            place = 0
            for turn in passage:
                part = slice(place, place + len(turn.token_ids))
                turn.logprobs, turn.values = logprobs[part], values[part]
                turn.reference = reference[part]
                place = part.stop
    for episode in {turn.episode for turn in turns}:
        mine = [turn for turn in turns if turn.episode == episode]
        rewards: list[float] = []
        for turn in mine:
            earned = torch.zeros(len(turn.token_ids))
            if settings.kl_in_reward:
                earned -= kl_weight * (turn.logprobs - turn.reference).cpu()
            earned[-1] += turn.reward
            rewards += earned.tolist()
        predicted = torch.cat([turn.values for turn in mine]).tolist()
        advantages, returns = gae(rewards, predicted, settings.gamma, settings.gae_lambda)
        place = 0
        for turn in mine:
            part = slice(place, place + len(turn.token_ids))
            device = turn.values.device
            turn.advantages = torch.tensor(advantages[part], dtype=torch.float32, device=device)
            turn.returns = torch.tensor(returns[part], dtype=torch.float32, device=device)
            place = part.stop
    everything = torch.cat([turn.advantages for turn in turns])
    scale = everything.std() + 1e-8 if len(everything) > 1 else torch.tensor(1.0)
    for turn in turns:
        turn.advantages = (turn.advantages - everything.mean()) / scale


def update(
    turns: Sequence[SampledTurn],
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    kl_weight: float,
    rng: np.random.Generator,
    settings: PPOSettings,
) -> dict[str, float]:
    """Some epochs of optimizer steps on one iteration's turns; the means of the last epoch."""
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    together = group_by_prefix(turns)
    found: dict[str, float] = {}
    for _ in range(settings.epochs):
        totals: dict[str, float] = {}
        tokens = 0
        for batch in _batches([together[i] for i in rng.permutation(len(together))], settings):
            count = sum(len(turn.token_ids) for passage in batch for turn in passage)
            step_kl = 0.0
            optimizer.zero_grad()
            for passage in batch:
                scores = policy.score(passage)
                loss, parts = ppo_loss(*scores, concat(passage), kl_weight, settings)
                (loss / count).backward()
                for name, part in parts.items():
                    totals[name] = totals.get(name, 0.0) + float(part)
                step_kl += float(parts["step_kl"])
            tokens += count
            if step_kl / count > settings.stop_kl:
                return {name: total / tokens for name, total in totals.items()} | {"stopped": 1.0}
            torch.nn.utils.clip_grad_norm_(trained, settings.max_gradient_norm)
            optimizer.step()
        found = {name: total / tokens for name, total in totals.items()} | {"stopped": 0.0}
    return found


def _batches(
    together: Sequence[list[SampledTurn]], settings: PPOSettings
) -> Iterator[list[list[SampledTurn]]]:
    """Passages one after the other, until there are `batch_turns` turns."""
    batch: list[list[SampledTurn]] = []
    for passage in together:
        batch.append(passage)
        if sum(map(len, batch)) >= settings.batch_turns:
            yield batch
            batch = []
    if batch:
        yield batch


class PPO:
    """The loop: play, score, update, adapt, remember.

    Args:
        policy: what is trained.
        tokenizer: of the policy's model.
        user_model: the world.
        scenarios: drawn from, without replacement within an iteration where there are enough.
        speak: makes the persuader that samples from a chat model.
        folder: for checkpoints and dialogues; an earlier, killed run in it is gone on with.
    """

    def __init__(
        self,
        policy: Policy,
        tokenizer: Any,
        user_model: UserModel,
        scenarios: Sequence[Scenario],
        settings: PPOSettings,
        *,
        speak: Callable[[TransformersChat], Persuader] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.policy, self.settings = policy, settings
        self.user_model, self.scenarios = user_model, scenarios
        self.folder = folder
        self._merging = samples_merged(policy.model)
        self.chat = TransformersChat(
            sampling_copy(policy.model) if self._merging else policy.model,
            tokenizer,
            fast=self._merging,
            top_k=1024,
        )
        self.persuader = (speak or self._speak)(self.chat)
        language = [p for p in policy.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": language, "lr": settings.learning_rate},
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

    def _speak(self, chat: TransformersChat) -> Persuader:
        settings = self.settings
        return IntentToStrategyPersuader(
            chat,
            max_reply_tokens=settings.max_reply_tokens,
            temperature=settings.temperature,
            top_p=1.0,  # the policy itself, not its head
            repair=False,  # a malformed turn has to cost what it costs
        )

    def train(self, report: Callable[[dict[str, float]], None] = lambda _: None) -> None:
        """Runs the iterations that are missing; `report` is told each one's numbers."""
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
        if self._merging:
            self.chat.use(sampling_copy(self.policy.model))
        few = settings.episodes > len(self.scenarios)
        drawn = rng.choice(len(self.scenarios), settings.episodes, replace=few)
        seeds = [derive_seed(settings.seed, "ppo", number, k) for k in range(settings.episodes)]
        episodes, turns = collect(
            self.persuader,
            self.user_model,
            [self.scenarios[index] for index in drawn],
            seeds,
            self.reward,
            settings.max_turns,
        )
        numbers = {"iteration": float(number)} | describe(episodes)
        if self.folder is not None:
            self._keep_dialogues(self.folder, episodes, number)
        numbers["seconds"] = time.perf_counter() - began
        if not turns:
            return numbers
        prepare(turns, self.policy, self.kl_weight, settings)
        returns = torch.cat([turn.returns for turn in turns])
        left = returns - torch.cat([turn.values for turn in turns])
        spread = float(returns.var()) if len(returns) > 1 else 0.0
        numbers["explained_variance"] = 1 - float(left.var()) / spread if spread > 0 else 0.0
        numbers |= update(turns, self.policy, self.optimizer, self.kl_weight, rng, settings)
        numbers["kl_weight"] = self.kl_weight
        error = np.clip(numbers["kl"] / settings.kl_target - 1, -0.2, 0.2)
        self.kl_weight *= 1 + 0.5 * float(error)
        tokens = sum(len(turn.token_ids) for turn in turns)
        numbers["seconds"] = time.perf_counter() - began
        numbers["tokens_per_second"] = tokens / numbers["seconds"]
        return numbers

    def _keep_dialogues(self, folder: Path, episodes: Sequence[Episode], number: int) -> None:
        shown = folder / "dialogues"
        shown.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(one.to_json(), ensure_ascii=False) for one in episodes[:3]]
        (shown / f"{number:04d}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


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

    Returns:
        One mapping per iteration: what `agents.training.metrics.describe` says of its dialogues, KL
        to the SFT persuader and its weight, entropy, clip fraction, explained variance, losses, and
        the seconds it took.
    """
    from peft import LoraConfig, get_peft_model

    settings = settings or PPOSettings()
    checkpoint = read_checkpoint(sft_folder, "persuader")
    sft_adapters = adapter_paths(sft_folder, checkpoint)
    torch.manual_seed(settings.seed)  # the adapters' first weights
    model = get_peft_model(
        load_merged(checkpoint.base, sft_adapters, dtype=training_dtype()),
        LoraConfig(
            r=settings.rank,
            lora_alpha=2 * settings.rank,
            target_modules=list(TARGET_MODULES),
            task_type="CAUSAL_LM",
        ),
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

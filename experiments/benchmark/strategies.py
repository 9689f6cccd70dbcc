"""Reinforcement-learning libraries, unmodified, on `persuade_env/StrategyPersuasion-v0`.

    python -m experiments.benchmark.strategies --steps 50000 --seeds 3

PPO and DQN of stable-baselines3 and MaskablePPO of sb3-contrib, with their own defaults, and a PPO
that scores every strategy with the same network (`agents.training.strategy_ppo`), learn on the
training scenarios against the `concerns` user and are measured on test scenarios that they have not
seen, beside an agent that draws strategies at random, one that takes the unused strategy whose
words are nearest to the user's last ones, and the oracle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import persuade_env  # noqa: F401 - registers the environments
from agents.persuaders.strategy_oracle import best_plan
from experiments.common.bootstrap import Estimate, clustered_mean, clustered_ratio
from experiments.common.progress import progress_bar
from experiments.common.storage import write_json
from persuade_env.envs.strategy import DIMENSIONS, StrategyPersuasionEnv
from persuade_env.seeding import derive_seed, generator

Policy = Callable[[np.ndarray, np.ndarray], int]
"""Observation and action mask in, action out."""

LEARNERS = ("ppo", "dqn", "maskable-ppo", "per-strategy-ppo")


@dataclass(frozen=True)
class Played:
    """One episode on a test scenario."""

    scenario: str
    seed: int
    episode_return: float
    accepted: bool
    turns: int


def make_env(split: str, user_model: str) -> gym.Env[Any, Any]:
    """The environment, as anybody would make it."""
    return gym.make("persuade_env/StrategyPersuasion-v0", user_model=user_model, scenarios=split)


def play(
    env: gym.Env[Any, Any], policies: Sequence[Policy], episodes: int, seed: int
) -> list[Played]:
    """Every policy on every scenario of the environment; episode seeds are the same for all."""
    inner = _inner(env)
    played = []
    for number, policy in enumerate(policies):
        for scenario in inner.core.scenarios:
            for episode in range(episodes):
                start = derive_seed(seed, scenario, episode) % 2**31
                observation, info = env.reset(seed=start, options={"scenario_id": scenario})
                total, over = 0.0, False
                while not over:
                    action = policy(observation, info["action_mask"])
                    observation, reward, terminated, truncated, info = env.step(action)
                    total, over = total + float(reward), terminated or truncated
                accepted = info["outcome"] == "accepted"
                played.append(Played(scenario, number, total, accepted, info["turn"]))
    return played


def random_policy(seed: int) -> Policy:
    """Any allowed strategy."""
    rng = generator(seed)
    return lambda _, mask: int(rng.choice(np.flatnonzero(mask)))


def nearest_policy(observation: np.ndarray, mask: np.ndarray) -> int:
    """The allowed, unused strategy whose words are nearest to the user's last ones."""
    first = 2 * DIMENSIONS
    actions = observation[first : first + 3 * len(mask)].reshape(-1, 3)
    return int(np.argmax(actions[:, 0] - 10 * actions[:, 2] - 100 * (1 - mask)))


def oracle_returns(env: gym.Env[Any, Any], episodes: int, seed: int) -> list[Played]:
    """What the best plan earns in the same episodes."""
    inner = _inner(env)
    found = []
    for scenario in inner.core.scenarios:
        for number in range(episodes):
            start = derive_seed(seed, scenario, number) % 2**31
            env.reset(seed=start, options={"scenario_id": scenario})
            assert inner.episode is not None
            plan = best_plan(inner.episode, inner.after, inner.n_actions)
            episode = inner.episode
            for action in plan.actions:
                episode = inner.after(episode, action)
            accepted = episode.outcome.value == "accepted"
            found.append(Played(scenario, 0, plan.reward, accepted, episode.turn))
    return found


def _inner(env: gym.Env[Any, Any]) -> StrategyPersuasionEnv:
    inner = env.unwrapped
    assert isinstance(inner, StrategyPersuasionEnv)
    return inner


def train(name: str, user_model: str, steps: int, seed: int) -> Policy:
    """A library's agent with the library's defaults, or the suite's own."""
    if name == "per-strategy-ppo":
        return _train_own(user_model, steps, seed)
    import torch
    from sb3_contrib import MaskablePPO
    from stable_baselines3 import DQN, PPO

    env = make_env("train", user_model)
    torch.set_num_threads(1)  # the networks are small: threads only cost
    kind: Any = {"ppo": PPO, "dqn": DQN, "maskable-ppo": MaskablePPO}[name]
    model = kind("MlpPolicy", env, seed=seed, device="cpu")
    with progress_bar(f"{name} {seed}", steps, "step") as shown:

        def count(local: dict[str, Any], _: dict[str, Any]) -> bool:
            shown.update(1)
            return True

        model.learn(steps, callback=count)

    def policy(observation: np.ndarray, mask: np.ndarray) -> int:
        masks = {"action_masks": mask.astype(bool)} if name == "maskable-ppo" else {}
        action, _ = model.predict(observation, deterministic=True, **masks)
        return int(action)

    return policy


def _train_own(user_model: str, steps: int, seed: int) -> Policy:
    import torch

    from agents.training.strategy_ppo import StrategyPPOSettings, train_strategy_ppo

    torch.set_num_threads(1)
    with progress_bar(f"per-strategy {seed}", steps, "step") as shown:
        trained = train_strategy_ppo(
            StrategyPPOSettings(total_steps=steps, seed=seed),
            user_model=user_model,
            report=shown.update,
        )

    @torch.no_grad()
    def policy(observation: np.ndarray, mask: np.ndarray) -> int:
        allowed = torch.from_numpy(mask)[None].bool()
        choices, _ = trained(torch.from_numpy(observation)[None], allowed)
        return int(choices.logits.argmax())

    return policy


@dataclass(frozen=True)
class Score:
    """One line of the table; intervals are clustered by scenario."""

    agent: str
    episode_return: Estimate
    share: Estimate
    """Of the way from random to the oracle: 0 is random, 1 the oracle."""
    accepted: Estimate
    turns: float
    by_seed: tuple[float, ...]
    """Mean return of each training seed."""


def score(
    agent: str, played: Sequence[Played], chance: Sequence[Played], best: Sequence[Played]
) -> Score:
    """Sets an agent's episodes against those of the random agent and the oracle."""
    rng = generator(0)
    floor, top = _by_scenario(chance), _by_scenario(best)
    clusters = [one.scenario for one in played]
    seeds = sorted({one.seed for one in played})
    return Score(
        agent,
        clustered_mean([one.episode_return for one in played], clusters, rng),
        clustered_ratio(
            [one.episode_return - floor[one.scenario] for one in played],
            [top[one.scenario] - floor[one.scenario] for one in played],
            clusters,
            rng,
        ),
        clustered_mean([float(one.accepted) for one in played], clusters, rng),
        float(np.mean([one.turns for one in played])),
        tuple(
            float(np.mean([one.episode_return for one in played if one.seed == seed]))
            for seed in seeds
        ),
    )


def _by_scenario(played: Sequence[Played]) -> dict[str, float]:
    return {
        name: float(np.mean([one.episode_return for one in played if one.scenario == name]))
        for name in {one.scenario for one in played}
    }


def benchmark(
    steps: int,
    seeds: int,
    episodes: int,
    learners: Sequence[str] = LEARNERS,
    user_model: str = "concerns",
) -> list[Score]:
    """Trains the learners and scores them beside the yardsticks, on the test scenarios."""
    env = make_env("test", user_model)
    best = oracle_returns(env, episodes, seed=0)
    chance = play(env, [random_policy(seed) for seed in range(seeds)], episodes, seed=0)
    near = play(env, [nearest_policy], episodes, seed=0)
    scores = [score("random", chance, chance, best), score("nearest words", near, chance, best)]
    for name in learners:
        policies = [train(name, user_model, steps, seed) for seed in range(seeds)]
        scores.append(score(name, play(env, policies, episodes, seed=0), chance, best))
    return [*scores, score("oracle", best, chance, best)]


def table(scores: Sequence[Score]) -> Table:
    """The scores for a terminal."""
    shown = Table(caption="95 % intervals, bootstrapped by scenario", caption_justify="left")
    for heading in ("agent", "return", "share of oracle", "accepted", "turns", "return by seed"):
        shown.add_column(heading, no_wrap=True)
    for one in scores:
        seeds = " ".join(f"{value:.2f}" for value in one.by_seed)
        shown.add_row(
            one.agent,
            str(one.episode_return),
            str(one.share),
            str(one.accepted),
            f"{one.turns:.1f}",
            seeds,
        )
    return shown


def main(
    steps: Annotated[int, typer.Option(min=1, help="Environment steps of training.")] = 50_000,
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds.")] = 3,
    episodes: Annotated[int, typer.Option(min=1, help="Test episodes per scenario.")] = 3,
    learners: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(LEARNERS),
    out: Annotated[Path, typer.Option(help="Where scores.json goes.")] = Path("runs/strategy"),
) -> None:
    """Trains and compares agents on the strategy environment."""
    from persuade_env.errors import UnknownNameError

    names = [name.strip() for name in learners.split(",")]
    for name in names:
        if name not in LEARNERS:
            raise UnknownNameError("learner", name, LEARNERS)
    scores = benchmark(steps, seeds, episodes, names)
    out.mkdir(parents=True, exist_ok=True)
    provenance = {"steps": steps, "seeds": seeds, "episodes_per_scenario": episodes}
    write_json(out / "scores.json", {**provenance, "scores": [asdict(one) for one in scores]})
    Console(width=120).print(table(scores))


if __name__ == "__main__":
    typer.run(main)

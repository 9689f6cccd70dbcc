"""Benchmark of unmodified RL libraries on `persuade_env/StrategyPersuasion-v1`.

    python -m experiments.benchmark.strategies --steps 50000 --seeds 3

PPO and DQN of stable-baselines3 and MaskablePPO of sb3-contrib, with their default hyperparameters,
and a PPO with weights shared between strategies (`agents.training.strategy_ppo`) are trained on the
training scenarios against the `concerns` user, and evaluated on the test scenarios. Baselines are
an agent that chooses strategies at random, one that takes the unused strategy with the text most
similar to the user's last response, and an oracle that plans with the user's hidden state.
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
class EpisodeResult:
    """The result of one episode on a test scenario.

    >>> EpisodeResult("leisure-001", seed=0, episode_return=0.5, accepted=True, turns=3).accepted
    True
    """

    scenario: str
    """Its id."""
    seed: int
    """Index of the training seed."""
    episode_return: float
    accepted: bool
    turns: int


def make_env(split: str, user_model: str) -> gym.Env[Any, Any]:
    """The environment on the scenarios of a split."""
    return gym.make("persuade_env/StrategyPersuasion-v1", user_model=user_model, scenarios=split)


def evaluate(
    env: gym.Env[Any, Any], policies: Sequence[Policy], episodes: int, seed: int
) -> list[EpisodeResult]:
    """Runs every policy on every scenario of the environment, with the same episode seeds."""
    inner = _unwrapped(env)
    results = []
    for number, policy in enumerate(policies):
        for scenario in inner.core.scenarios:
            for episode in range(episodes):
                start = derive_seed(seed, scenario, episode) % 2**31
                observation, info = env.reset(seed=start, options={"scenario_id": scenario})
                total, done = 0.0, False
                while not done:
                    action = policy(observation, info["action_mask"])
                    observation, reward, terminated, truncated, info = env.step(action)
                    total, done = total + float(reward), terminated or truncated
                accepted = info["outcome"] == "accepted"
                results.append(EpisodeResult(scenario, number, total, accepted, info["turn"]))
    return results


def random_policy(seed: int) -> Policy:
    """A policy that chooses uniformly among the allowed strategies.

    >>> random_policy(0)(np.zeros(1), np.array([0, 1, 0]))
    1
    """
    rng = generator(seed)
    return lambda _, mask: int(rng.choice(np.flatnonzero(mask)))


def nearest_policy(observation: np.ndarray, mask: np.ndarray) -> int:
    """The allowed, unused strategy whose text is most similar to the user's last response."""
    first = 2 * DIMENSIONS
    actions = observation[first : first + 3 * len(mask)].reshape(-1, 3)
    return int(np.argmax(actions[:, 0] - 10 * actions[:, 2] - 100 * (1 - mask)))


def evaluate_oracle(env: gym.Env[Any, Any], episodes: int, seed: int) -> list[EpisodeResult]:
    """The results of the best plan in the same episodes as those of `evaluate`."""
    inner = _unwrapped(env)
    results = []
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
            results.append(EpisodeResult(scenario, 0, plan.reward, accepted, episode.turn))
    return results


def _unwrapped(env: gym.Env[Any, Any]) -> StrategyPersuasionEnv:
    inner = env.unwrapped
    assert isinstance(inner, StrategyPersuasionEnv)
    return inner


def train(name: str, user_model: str, steps: int, seed: int) -> Policy:
    """Trains one of `LEARNERS` on the training scenarios and gives its greedy policy."""
    if name == "per-strategy-ppo":
        return _train_own(user_model, steps, seed)
    import torch
    from sb3_contrib import MaskablePPO
    from stable_baselines3 import DQN, PPO

    env = make_env("train", user_model)
    torch.set_num_threads(1)  # faster for small networks
    algorithm: Any = {"ppo": PPO, "dqn": DQN, "maskable-ppo": MaskablePPO}[name]
    model = algorithm("MlpPolicy", env, seed=seed, device="cpu")
    with progress_bar(f"{name} {seed}", steps, "step") as progress:

        def count(local: dict[str, Any], _: dict[str, Any]) -> bool:
            progress.update(1)
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
    with progress_bar(f"per-strategy {seed}", steps, "step") as progress:
        trained = train_strategy_ppo(
            StrategyPPOSettings(total_steps=steps, seed=seed),
            user_model=user_model,
            report=progress.update,
        )

    @torch.no_grad()
    def policy(observation: np.ndarray, mask: np.ndarray) -> int:
        allowed = torch.from_numpy(mask)[None].bool()
        distribution, _ = trained(torch.from_numpy(observation)[None], allowed)
        return int(distribution.logits.argmax())

    return policy


@dataclass(frozen=True)
class Score:
    """One agent's row of the table; confidence intervals are clustered by scenario."""

    agent: str
    episode_return: Estimate
    share: Estimate
    """Normalized return: 0 is the random agent's, 1 the oracle's."""
    accepted: Estimate
    turns: float
    by_seed: tuple[float, ...]
    """Mean return of each training seed."""


def score(
    agent: str,
    results: Sequence[EpisodeResult],
    random_results: Sequence[EpisodeResult],
    oracle_results: Sequence[EpisodeResult],
) -> Score:
    """Summarizes an agent's episodes, normalized by those of the random agent and the oracle."""
    rng = generator(0)
    lower, upper = _mean_returns(random_results), _mean_returns(oracle_results)
    clusters = [result.scenario for result in results]
    seeds = sorted({result.seed for result in results})
    return Score(
        agent,
        clustered_mean([result.episode_return for result in results], clusters, rng),
        clustered_ratio(
            [result.episode_return - lower[result.scenario] for result in results],
            [upper[result.scenario] - lower[result.scenario] for result in results],
            clusters,
            rng,
        ),
        clustered_mean([float(result.accepted) for result in results], clusters, rng),
        float(np.mean([result.turns for result in results])),
        tuple(
            float(np.mean([result.episode_return for result in results if result.seed == seed]))
            for seed in seeds
        ),
    )


def _mean_returns(results: Sequence[EpisodeResult]) -> dict[str, float]:
    returns: dict[str, list[float]] = {}
    for result in results:
        returns.setdefault(result.scenario, []).append(result.episode_return)
    return {scenario: float(np.mean(values)) for scenario, values in returns.items()}


def benchmark(
    steps: int,
    seeds: int,
    episodes: int,
    learners: Sequence[str] = LEARNERS,
    user_model: str = "concerns",
) -> list[Score]:
    """Trains the learners and evaluates them and the baselines on the test scenarios."""
    env = make_env("test", user_model)
    oracle = evaluate_oracle(env, episodes, seed=0)
    random = evaluate(env, [random_policy(seed) for seed in range(seeds)], episodes, seed=0)
    nearest = evaluate(env, [nearest_policy], episodes, seed=0)
    scores = [
        score("random", random, random, oracle),
        score("nearest words", nearest, random, oracle),
    ]
    for name in learners:
        policies = [train(name, user_model, steps, seed) for seed in range(seeds)]
        scores.append(score(name, evaluate(env, policies, episodes, seed=0), random, oracle))
    return [*scores, score("oracle", oracle, random, oracle)]


def table(scores: Sequence[Score]) -> Table:
    """The scores as a table for the terminal."""
    result = Table(caption="95 % intervals, bootstrapped by scenario", caption_justify="left")
    for heading in ("agent", "return", "share of oracle", "accepted", "turns", "return by seed"):
        result.add_column(heading, no_wrap=True)
    for row in scores:
        result.add_row(
            row.agent,
            str(row.episode_return),
            str(row.share),
            str(row.accepted),
            f"{row.turns:.1f}",
            " ".join(f"{value:.2f}" for value in row.by_seed),
        )
    return result


def main(
    steps: Annotated[int, typer.Option(min=1, help="Environment steps of training.")] = 50_000,
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds.")] = 3,
    episodes: Annotated[int, typer.Option(min=1, help="Test episodes per scenario.")] = 3,
    learners: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(LEARNERS),
    out: Annotated[Path, typer.Option(help="Folder for scores.json.")] = Path("runs/strategy"),
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
    write_json(out / "scores.json", {**provenance, "scores": [asdict(row) for row in scores]})
    Console(width=120).print(table(scores))


if __name__ == "__main__":
    typer.run(main)

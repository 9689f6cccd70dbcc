"""`persuade_env/Persuasion-v0`: talk somebody round, one turn per step."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium.error import ResetNeeded

from persuade_env.envs.core import EnvCore, ScenarioSource
from persuade_env.envs.rendering import render_ansi
from persuade_env.envs.spaces import Language
from persuade_env.episode import DEFAULT_MAX_TURNS, Episode, step
from persuade_env.protocols import UserModel
from persuade_env.rewards import Reward


class PersuasionEnv(gym.Env[str, str]):
    """One persuasion dialogue per episode.

    - Action: text. Plain speech, or the intent-to-strategy format of which only the
      response reaches the user (`persuade_env.action_format`).
    - Observation: text. The scenario as the persuader knows it, and what was said.
    - Reward: named terms (`persuade_env.rewards`), kept apart in `info["reward_terms"]`.
    - Terminated: the persuadee accepted or walked away.
    - Truncated: `max_turns`; or a failure, then `info["valid"]` is False.

    Args:
        user_model: a name (`concerns`, `learned=FOLDER`, `module:attribute`) or an object.
        scenarios: a split of the shipped corpus (`train` unless named), a scenario file,
            or scenarios.
        max_turns: persuader turns after which an undecided dialogue is truncated.
        reward: weights by term; attitude gain and outcome by default.
        render_mode: `ansi` (`render()` returns text), `human` (written to stdout as it goes on).

    `reset(options={"scenario_id": ...})` picks the scenario.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as Gymnasium declares it
        "render_modes": ["ansi", "human"],
        "render_fps": 1,
    }

    def __init__(
        self,
        user_model: str | UserModel = "concerns",
        scenarios: ScenarioSource = None,
        max_turns: int = DEFAULT_MAX_TURNS,
        reward: Reward | Mapping[str, float] | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.core = EnvCore.make(user_model, scenarios, reward, max_turns)
        self.render_mode = render_mode
        self.action_space = Language()
        self.observation_space = Language()
        self.episode: Episode | None = None
        """The current episode, as a value: keep it, replay it, store it."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Begins a dialogue. The same seed gives the same scenario and the same user."""
        super().reset(seed=seed)
        self.episode = self.core.draw(self.np_random, options)
        return self._seen(self.episode)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """The persuader says `action`; the persuadee answers.

        Raises:
            ResetNeeded: before the first reset, and after the end of an episode.
            TypeError: if the action is not text.
        """
        if self.episode is None or self.episode.done:
            raise ResetNeeded("the dialogue is over or has not begun; call reset()")
        (self.episode,) = step(
            [self.episode],
            [self.core.hear(action)],
            self.core.user_model,
            self.core.reward,
            self.core.max_turns,
        )
        episode = self.episode
        observation, info = self._seen(episode)
        return observation, episode.reward, episode.terminated, episode.truncated, info

    def render(self) -> str | None:
        """The dialogue so far: returned in mode `ansi`, written to stdout in mode `human`."""
        if self.render_mode is None:
            gym.logger.warn("render() needs render_mode='ansi' or 'human'")
            return None
        text = render_ansi(self.episode) if self.episode else "(no dialogue yet: call reset())"
        if self.render_mode == "human":
            sys.stdout.write(text + "\n\n")
            return None
        return text

    def _seen(self, episode: Episode) -> tuple[str, dict[str, Any]]:
        if self.render_mode == "human":
            self.render()
        return self.core.observe(episode), self.core.info(episode)

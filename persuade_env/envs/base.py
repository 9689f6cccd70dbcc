"""What the environments of one dialogue have in common."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import gymnasium as gym
from gymnasium.error import ResetNeeded

from persuade_env.envs.core import EnvCore, ScenarioSource
from persuade_env.envs.rendering import render_ansi
from persuade_env.episode import DEFAULT_MAX_TURNS, Episode
from persuade_env.protocols import UserModel
from persuade_env.rewards import Reward
from persuade_env.spec import SpecLike

ObsType = TypeVar("ObsType")
ActType = TypeVar("ActType")


class BasePersuasionEnv(gym.Env[ObsType, ActType], ABC, Generic[ObsType, ActType]):
    """What the environments of one dialogue share: scenarios, user, reward, reset and render.

    A subclass says what is observed (`observe`) and what an action does (`step`).

    Args:
        user_model: a name (`concerns`, `learned=FOLDER`, `module:attribute`), a table, or an
            object; see `persuade_env.spec`.
        scenarios: a split of the shipped corpus (`train` unless named), a scenario file,
            or scenarios.
        max_turns: persuader turns after which an undecided dialogue is truncated.
        reward: weights by term; attitude gain and outcome by default.
        render_mode: `ansi` (`render()` returns text), `human` (written to stdout as it goes on).
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as Gymnasium declares it
        "render_modes": ["ansi", "human"],
        "render_fps": 1,
    }

    def __init__(
        self,
        user_model: SpecLike | UserModel = "concerns",
        scenarios: ScenarioSource = None,
        max_turns: int = DEFAULT_MAX_TURNS,
        reward: Reward | Mapping[str, float] | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.core = EnvCore.make(user_model, scenarios, reward, max_turns)
        self.render_mode = render_mode
        self.episode: Episode | None = None
        """The current episode, as a value: keep it, replay it, store it."""

    @abstractmethod
    def observe(self, episode: Episode) -> ObsType:
        """What a persuader may know of the episode."""

    def info(self, episode: Episode) -> dict[str, Any]:
        """`StepInfo` of the episode; a subclass may add keys."""
        return dict(self.core.info(episode))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Begins a dialogue. The same seed gives the same scenario and the same user.

        Args:
            seed: of the environment's random numbers, as in Gymnasium.
            options: `{"scenario_id": ID}` picks the scenario.

        Raises:
            UnknownNameError: if there is no such scenario.
        """
        super().reset(seed=seed)
        self.episode = self.core.draw(self.np_random, options)
        return self._seen(self.episode)

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

    def _running(self) -> Episode:
        """The current episode, if there is one that goes on."""
        if self.episode is None or self.episode.done:
            raise ResetNeeded("the dialogue is over or has not begun; call reset()")
        return self.episode

    def _seen(self, episode: Episode) -> tuple[ObsType, dict[str, Any]]:
        if self.render_mode == "human":
            self.render()
        return self.observe(episode), self.info(episode)

    def _moved(self, episode: Episode) -> tuple[ObsType, float, bool, bool, dict[str, Any]]:
        """The result of a step that led to this episode, which is the current one from now on."""
        self.episode = episode
        observation, info = self._seen(episode)
        return observation, episode.reward, episode.terminated, episode.truncated, info

"""The vector environment: many dialogues, one call of the user model per step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from persuade_env.envs.core import EnvCore, ScenarioSource
from persuade_env.envs.rendering import render_ansi
from persuade_env.envs.spaces import Language
from persuade_env.envs.vector_info import batched
from persuade_env.episode import DEFAULT_MAX_TURNS, Episode, step
from persuade_env.protocols import UserModel
from persuade_env.rewards import Reward
from persuade_env.spec import SpecLike

Step = tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]


class PersuasionVectorEnv(VectorEnv[tuple[str, ...], Sequence[str], np.ndarray]):
    """`num_envs` dialogues that take their turns together.

    Sub-environment i, reset with seed s, plays the same dialogues as a single environment
    reset with seed s + i, at any width, if the user model is a function of the dialogue
    alone (`concerns` is; a language model is at the same width).

    Args:
        num_envs: the width.
        autoreset_mode: what happens after an end, as in Gymnasium. `NEXT_STEP` ignores one
            action per episode, which for a language model is a turn written for nothing:
            prefer `SAME_STEP`, or `DISABLED` with `reset(options={"reset_mask": ...})`.

    The other arguments are those of `PersuasionEnv`.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as Gymnasium declares it
        "render_modes": ["ansi"],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        user_model: SpecLike | UserModel = "concerns",
        scenarios: ScenarioSource = None,
        max_turns: int = DEFAULT_MAX_TURNS,
        reward: Reward | Mapping[str, float] | None = None,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        super().__init__()
        self.core = EnvCore.make(user_model, scenarios, reward, max_turns)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self.single_action_space = Language()
        self.single_observation_space = Language()
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.episodes: list[Episode] = []
        """The current episode of each sub-environment; empty before the first reset."""
        self._rngs: list[np.random.Generator | None] = [None] * num_envs

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Begins dialogues: all of them, or those that `options["reset_mask"]` marks."""
        seeds = self._seeds(seed)
        options = dict(options or {})
        mask = self._mask(options.pop("reset_mask", None))
        if not self.episodes and not mask.all():
            raise ResetNeeded("the first reset has to reset every sub-environment")
        episodes = self.episodes or [None] * self.num_envs  # type: ignore[list-item]
        for index in _where(mask):
            episodes[index] = self._begin(index, seeds[index], options)
        self.episodes = episodes
        begun = [
            self.core.info(episode) if marked else None
            for episode, marked in zip(episodes, mask, strict=True)
        ]
        return self._observations(), batched(begun)

    def step(self, actions: Sequence[str]) -> Step:
        """Every persuader says its action; the user model answers all of them in one call."""
        if not self.episodes:
            raise ResetNeeded("call reset() before the first step")
        if isinstance(actions, str) or len(actions) != self.num_envs:
            raise ValueError(f"expected {self.num_envs} actions, one text per sub-environment")
        ended = np.array([episode.done for episode in self.episodes])
        if ended.any() and self.autoreset_mode is AutoresetMode.DISABLED:
            raise ResetNeeded(
                f"sub-environments {_where(ended)} have ended; reset them with "
                "reset(options={'reset_mask': ...})"
            )
        running = _where(~ended)
        moved = step(
            [self.episodes[index] for index in running],
            [self.core.parse_action(actions[index]) for index in running],
            self.core.user_model,
            self.core.reward,
            self.core.max_turns,
        )
        for index, episode in zip(running, moved, strict=True):
            self.episodes[index] = episode
        for index in _where(ended):  # NEXT_STEP: the action is ignored
            self.episodes[index] = self._begin(index, None, {})
        return self._results()

    def _results(self) -> Step:
        rewards = np.array([episode.reward for episode in self.episodes], dtype=np.float64)
        terminated = np.array([episode.terminated for episode in self.episodes])
        truncated = np.array([episode.truncated for episode in self.episodes])
        finals: list[dict[str, Any] | None] = [None] * self.num_envs
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            for index in _where(terminated | truncated):
                final = self.episodes[index]
                finals[index] = {
                    "final_obs": self.core.observe(final),
                    "final_info": self.core.info(final),
                }
                self.episodes[index] = self._begin(index, None, {})
        infos = batched([self.core.info(episode) for episode in self.episodes])
        return self._observations(), rewards, terminated, truncated, {**batched(finals), **infos}

    def render(self) -> tuple[str, ...] | None:
        """Every dialogue so far, in mode `ansi`."""
        if self.render_mode != "ansi":
            return None
        return tuple(render_ansi(episode) for episode in self.episodes)

    def _observations(self) -> tuple[str, ...]:
        return tuple(self.core.observe(episode) for episode in self.episodes)

    def _begin(self, index: int, seed: int | None, options: Mapping[str, Any]) -> Episode:
        rng = self._rngs[index]
        if seed is not None or rng is None:
            rng, _ = seeding.np_random(seed)
            self._rngs[index] = rng
        return self.core.draw(rng, options)

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + index for index in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"got {len(seed)} seeds for {self.num_envs} sub-environments")
        return list(seed)

    def _mask(self, mask: Any) -> np.ndarray:
        if mask is None:
            return np.ones(self.num_envs, dtype=np.bool_)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError("options['reset_mask'] must be a numpy array of dtype bool")
        if mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"options['reset_mask'] must have shape ({self.num_envs},) and mark at least one"
            )
        return mask


def _where(mask: np.ndarray) -> list[int]:
    return [int(index) for index in np.flatnonzero(mask)]

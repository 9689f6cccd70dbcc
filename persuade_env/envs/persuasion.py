"""`persuade_env/Persuasion-v1`: change a user's mind, one turn per step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from persuade_env.envs.base import BasePersuasionEnv
from persuade_env.envs.core import ScenarioSource
from persuade_env.envs.spaces import Language
from persuade_env.episode import DEFAULT_MAX_TURNS, Episode, step
from persuade_env.protocols import UserModel
from persuade_env.rewards import Reward
from persuade_env.spec import SpecLike


class PersuasionEnv(BasePersuasionEnv[str, str]):
    """One persuasion dialogue per episode.

    - Action: text. Plain speech, or the intent-to-strategy format of which only the
      response reaches the user (`persuade_env.action_format`).
    - Observation: text. The scenario as the persuader knows it, and what was said.
    - Reward: named terms (`persuade_env.rewards`), kept apart in `info["reward_terms"]`.
    - Terminated: the persuadee accepted or refused.
    - Truncated: `max_turns`; or a failure, then `info["valid"]` is False.
    - Info: `persuade_env.protocols.StepInfo`.

    The arguments are those of `BasePersuasionEnv`; `reset(options={"scenario_id": ...})` picks the
    scenario.

    >>> env = PersuasionEnv("concerns", "test")
    >>> observation, info = env.reset(seed=1)
    >>> observation, reward, terminated, truncated, info = env.step("What worries you about it?")
    >>> info["turn"], info["valid"]
    (1, True)
    """

    def __init__(
        self,
        user_model: SpecLike | UserModel = "concerns",
        scenarios: ScenarioSource = None,
        max_turns: int = DEFAULT_MAX_TURNS,
        reward: Reward | Mapping[str, float] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(user_model, scenarios, max_turns, reward, render_mode)
        self.action_space = Language()
        self.observation_space = Language()

    def observe(self, episode: Episode) -> str:
        """Scenario and public history as one text."""
        return self.core.observe(episode)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """The persuader says `action`; the persuadee answers.

        Raises:
            ResetNeeded: before the first reset, and after the end of an episode.
            TypeError: if the action is not text.
        """
        (moved,) = step(
            [self._running()],
            [self.core.parse_action(action)],
            self.core.user_model,
            self.core.reward,
            self.core.max_turns,
        )
        return self._moved(moved)

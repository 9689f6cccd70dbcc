"""`persuade_env/StrategyPersuasion-v1`: choose what to do, and have it written out.

The action is the number of one of the scenario's candidate strategies and the observation a
vector, so that any reinforcement-learning library trains on it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete

from persuade_env.dialogue import PersuaderTurn, Scenario
from persuade_env.envs.base import BasePersuasionEnv
from persuade_env.envs.core import ScenarioSource
from persuade_env.envs.realizers import Realizer, TextRealizer
from persuade_env.episode import DEFAULT_MAX_TURNS, Episode, step
from persuade_env.errors import PersuaderError, ScenarioError
from persuade_env.protocols import PersuaderReply, UserModel, persuader_view
from persuade_env.rewards import Reward
from persuade_env.seeding import derive_seed
from persuade_env.spec import SpecLike
from persuade_env.text.embedding import Embedder
from persuade_env.text.normalize import one_line

MAX_STRATEGIES = 14
"""Actions, unless told otherwise: the shipped scenarios have 12 to 14 candidate strategies."""

DIMENSIONS = 64
"""Of each embedding in the observation. The embeddings are nested: their first dimensions are
an embedding by themselves."""

_AGREES = ("Yes, I'll do it.", "That helps, good to know.", "All right, that answers it.")
_REFUSES = ("No, let's leave it.", "That doesn't change anything for me.", "Stop pushing me.")


class StrategyPersuasionEnv(BasePersuasionEnv[np.ndarray, np.int64]):
    """One persuasion dialogue per episode; a realizer turns each choice into words.

    - Action: `Discrete(n_actions)`, the index of a candidate strategy. Scenarios with fewer
      have their rest masked in `info["action_mask"]` (int8, 1 for allowed), which is also
      what `action_masks()` returns; a masked action says nothing.
    - Observation: `Box(-1, 1, (2 * 64 + 3 * n_actions + 2,), float32)`, see `observe`. Nothing in
      it is hidden from a persuader: the attitude is guessed from the user's words.
    - Reward, end of an episode and `info` are those of `persuade_env/Persuasion-v1`; `info`
      has two more keys, `action_mask` and `strategy`, the one that was last carried out.

    Args:
        user_model, scenarios, max_turns, reward, render_mode: as in `PersuasionEnv`.
        realizer: writes the turns; the scenario's own text by default.
        n_actions: the same for all environments that one agent is to see.

    Raises:
        ScenarioError: if a scenario has no candidate strategies, or more than `n_actions`.
    """

    def __init__(
        self,
        user_model: SpecLike | UserModel = "concerns",
        scenarios: ScenarioSource = None,
        max_turns: int = DEFAULT_MAX_TURNS,
        reward: Reward | Mapping[str, float] | None = None,
        render_mode: str | None = None,
        realizer: Realizer | None = None,
        n_actions: int = MAX_STRATEGIES,
    ) -> None:
        super().__init__(user_model, scenarios, max_turns, reward, render_mode)
        for scenario in self.core.scenarios.values():
            if not 1 <= len(scenario.strategies) <= n_actions:
                raise ScenarioError(
                    f"scenario {scenario.id!r} has {len(scenario.strategies)} candidate "
                    f"strategies; this environment takes 1 to {n_actions} (n_actions)"
                )
        self._embed = Embedder()
        self._text = TextRealizer(self._embed)
        self._vectors: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.realizer = realizer or self._text
        self.n_actions = n_actions
        self.action_space = Discrete(n_actions)
        size = 2 * DIMENSIONS + 3 * n_actions + 2
        self.observation_space = Box(-1.0, 1.0, (size,), np.float32)

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """The persuader carries out a strategy; the persuadee answers.

        Raises:
            ResetNeeded: before the first reset, and after the end of an episode.
            ValueError: if the action is not in the action space.
        """
        return self._moved(self.after(self._running(), int(action)))

    def after(self, episode: Episode, action: int) -> Episode:
        """The episode one step on. Nothing is changed: so a planner can try out an action.

        Raises:
            ValueError: if the action is not in the action space.
        """
        if not 0 <= action < self.n_actions:
            raise ValueError(f"an action is a number from 0 to {self.n_actions - 1}, not {action}")
        strategies = episode.scenario.strategies
        strategy = strategies[action] if action < len(strategies) else ""
        seed = derive_seed(episode.seed, "realizer", episode.turn)
        try:
            (words,) = self.realizer.realize([persuader_view(episode.dialogue)], [strategy], [seed])
            reply = PersuaderReply(turn=PersuaderTurn(strategy=strategy, response=words))
        except PersuaderError as error:
            reply = PersuaderReply(error=error)
        core = self.core
        (moved,) = step([episode], [reply], core.user_model, core.reward, core.max_turns)
        return moved

    def action_masks(self) -> np.ndarray:
        """Which actions are candidate strategies of the scenario, bool (n_actions,)."""
        return self._mask(self.episode)

    def _mask(self, episode: Episode | None) -> np.ndarray:
        count = len(episode.scenario.strategies) if episode else self.n_actions
        return np.arange(self.n_actions) < count

    def observe(self, episode: Episode) -> np.ndarray:
        """What the persuader knows, float32, in this order.

        - 64: embedding of background and goal; 64: of the user's last words (0 before any);
        - for each action: how near what it would say in the scenario's own text comes to the
          user's last words (to background and goal before any), the nearest it comes to
          anything that the user has said, and whether it was carried out before (0 or 1);
        - the attitude guessed from the last words, from -1 (against) to 1 (for); turns
          taken, as a share of `max_turns`.
        """
        view = persuader_view(episode.dialogue)
        scenario = view.scenario
        about, options = self._known(scenario)
        words = [one_line(turn.response) for turn in view.persuadee_turns]
        last = self._embed(words[-1]) if words else about
        used = {turn.strategy for turn in view.persuader_turns}
        actions = np.zeros((self.n_actions, 3))
        count = len(scenario.strategies)
        actions[:count, 0] = options @ last
        user_words = self._embed.all(words) if words else last[None]
        actions[:count, 1] = (options @ user_words.T).max(axis=1)
        actions[:count, 2] = [strategy in used for strategy in scenario.strategies]
        guess = self._guess(last) if words else 0.0
        parts = [
            _short(about),
            _short(last) if words else np.zeros(DIMENSIONS),
            actions.reshape(-1),
            [guess, episode.turn / self.core.max_turns],
        ]
        return np.clip(np.concatenate(parts), -1.0, 1.0).astype(np.float32)

    def _known(self, scenario: Scenario) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of background with goal, and of what each strategy would say.

        No turn changes them and every observation needs them, so they are kept.
        """
        if scenario.id not in self._vectors:
            about = self._embed(one_line(f"{scenario.background} {scenario.goal}"))
            said = [self._text.words(scenario, strategy) for strategy in scenario.strategies]
            self._vectors[scenario.id] = about, self._embed.all(said)
        return self._vectors[scenario.id]

    def _guess(self, last: np.ndarray) -> float:
        agrees, refuses = self._embed.all(_AGREES), self._embed.all(_REFUSES)
        return float((agrees @ last).max() - (refuses @ last).max())

    def info(self, episode: Episode) -> dict[str, Any]:
        """`StepInfo`, and `action_mask` and `strategy`."""
        turns = episode.dialogue.persuader_turns
        return {
            **super().info(episode),
            "action_mask": self._mask(episode).astype(np.int8),
            "strategy": turns[-1].strategy if turns else "",
        }


def _short(vector: np.ndarray) -> np.ndarray:
    """The first dimensions of an embedding, as a unit vector."""
    head = vector[:DIMENSIONS]
    norm = float(np.linalg.norm(head))
    return head / norm if norm else head

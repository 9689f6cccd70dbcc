"""What the single and the vector environment share: scenarios, user, reward, what is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from persuade_env.action_format import read_action
from persuade_env.dialogue import Scenario, ScenarioRecord
from persuade_env.episode import DEFAULT_MAX_TURNS, Episode, start
from persuade_env.errors import PersuadeError, ScenarioError, UnknownNameError
from persuade_env.protocols import PersuaderReply, StepInfo, UserModel
from persuade_env.registry import load_user_model
from persuade_env.rewards import Reward, default_reward
from persuade_env.spec import SpecLike
from persuade_env.text.normalize import one_line

ScenarioSource = str | Path | Sequence[Scenario] | None
"""None or a split's name (the shipped corpus), a scenario file, or scenarios."""


@dataclass(frozen=True)
class EnvCore:
    """Everything about an environment that no episode changes.

    >>> core = EnvCore.make("concerns", "test")
    >>> core.draw(np.random.default_rng(0), None).turn
    0
    """

    user_model: UserModel
    scenarios: Mapping[str, Scenario]
    reward: Reward
    max_turns: int
    _descriptions: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def make(
        cls,
        user_model: SpecLike | UserModel = "concerns",
        scenarios: ScenarioSource = None,
        reward: Reward | Mapping[str, float] | None = None,
        max_turns: int = DEFAULT_MAX_TURNS,
    ) -> EnvCore:
        """See `PersuasionEnv` for the arguments."""
        if max_turns < 2:
            raise PersuadeError(f"max_turns must be at least 2, not {max_turns}")
        found = _scenarios(scenarios)
        if not found:
            raise ScenarioError("an environment needs at least one scenario")
        if reward is not None and not isinstance(reward, Reward):
            reward = Reward(dict(reward))
        return cls(
            load_user_model(user_model),
            {scenario.id: scenario for scenario in found},
            reward or default_reward(),
            max_turns,
        )

    def draw(self, rng: np.random.Generator, options: Mapping[str, Any] | None) -> Episode:
        """A new episode; scenario and episode seed come from `rng`, in this order.

        The scenario is drawn also when `options` names one, so that the seeds of an
        episode don't depend on how its scenario was chosen.

        Raises:
            UnknownNameError: if there is no such scenario, or no such option.
        """
        ids = self._ids
        scenario_id = ids[int(rng.integers(len(ids)))]
        seed = int(rng.integers(2**62))
        if unknown := set(options or {}) - {"scenario_id"}:
            raise UnknownNameError("reset option", min(map(str, unknown)), ["scenario_id"])
        if options and "scenario_id" in options:
            scenario_id = options["scenario_id"]
            if scenario_id not in self.scenarios:
                shown = ids if len(ids) <= 20 else [*ids[:20], f"… and {len(ids) - 20} more"]
                raise UnknownNameError("scenario", scenario_id, shown)
        return start(self.scenarios[scenario_id], seed)

    @cached_property
    def _ids(self) -> list[str]:
        return list(self.scenarios)

    def parse_action(self, action: Any) -> PersuaderReply:
        """An action as a persuader's reply; only its response will reach the user."""
        if not isinstance(action, str):
            raise TypeError(f"an action is text (str), not {type(action).__name__}")
        turn, malformed = read_action(action)
        return PersuaderReply(turn=turn, malformed=malformed)

    def observe(self, episode: Episode) -> str:
        """Scenario and public history as one text: what a persuader may know."""
        scenario = episode.scenario
        names = speakers(scenario)
        history = [
            f"{names[turn.role]}: {one_line(turn.response)}" for turn in episode.dialogue.turns
        ]
        return "\n".join([self.described(scenario), "", *history])

    def described(self, scenario: Scenario) -> str:
        """`describe_scenario`, remembered: it is part of every observation and info."""
        if scenario.id not in self._descriptions:
            self._descriptions[scenario.id] = describe_scenario(scenario)
        return self._descriptions[scenario.id]

    def info(self, episode: Episode) -> StepInfo:
        """The fixed schema: the same keys and types at reset and at every step, all new objects.

        There are no seconds in it: Gymnasium's checker demands that a repeated step gives
        an equal info. The benchmark keeps times beside its episodes.
        """
        answers = episode.dialogue.persuadee_turns
        last = answers[-1] if answers else None
        return {
            "messages": public_messages(episode, self.described(episode.scenario)),
            "turn": episode.turn,
            "scenario_id": episode.scenario.id,
            "attitude": float(episode.dialogue.attitude),
            "tone": last.tone if last else "",
            "decision": last.decision.value if last else "",
            "outcome": episode.outcome.value,
            "stop_reason": episode.stop.value,
            "valid": episode.valid,
            "error_kind": episode.error_kind,
            "malformed_turns": episode.malformed_turns,
            "reward_terms": dict(
                episode.reward_terms[-1] if episode.reward_terms else self.reward.zero()
            ),
            "user_prompt_tokens": episode.user_usage.prompt_tokens,
            "user_completion_tokens": episode.user_usage.completion_tokens,
        }


def describe_scenario(scenario: Scenario) -> str:
    """The scenario as the persuader knows it; the persona is not in it."""
    lines = [
        f"You are {scenario.persuader}. You talk with {scenario.persuadee}.",
        f"Background: {one_line(scenario.background)}",
        f"Goal: {one_line(scenario.goal)}",
    ]
    if scenario.facts:
        lines.append("Facts: " + " ".join(one_line(fact) for fact in scenario.facts))
    if scenario.strategies:
        lines.append("Strategies: " + "; ".join(scenario.strategies))
    return "\n".join(lines)


def speakers(scenario: Scenario) -> dict[str, str]:
    """The names of who speaks, by the role of a turn."""
    return {"persuader": scenario.persuader, "persuadee": scenario.persuadee}


def public_messages(episode: Episode, description: str) -> list[dict[str, str]]:
    """The dialogue as chat messages from the persuader's side: words alone."""
    roles = {"persuader": "assistant", "persuadee": "user"}
    said = [{"role": roles[turn.role], "content": turn.response} for turn in episode.dialogue.turns]
    return [{"role": "system", "content": description}, *said]


def _scenarios(source: ScenarioSource) -> list[Scenario]:
    from persuade_env import scenarios as files

    if source is None or (isinstance(source, str) and source in files.SPLITS):
        records: Sequence[Scenario] = files.load_corpus("train" if source is None else source)
    elif isinstance(source, str | Path):
        records = files.load(source)
    else:
        records = source
    return [one.scenario if isinstance(one, ScenarioRecord) else one for one in records]

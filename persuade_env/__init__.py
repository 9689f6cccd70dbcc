"""Gymnasium environments for persuasion dialogue, with a learned, measurable user.

>>> import gymnasium as gym
>>> import persuade_env
>>> env = gym.make("persuade_env/Persuasion-v1", user_model="concerns")
>>> observation, info = env.reset(seed=7)
>>> observation, reward, terminated, truncated, info = env.step("What worries you about it?")
>>> 1.0 <= info["attitude"] <= 7.0
True
"""

from gymnasium.envs.registration import register

from persuade_env.dialogue import (
    Concern,
    Decision,
    Dialogue,
    Outcome,
    Persona,
    PersuadeeTurn,
    PersuaderTurn,
    Scenario,
    ScenarioRecord,
)
from persuade_env.episode import Episode, EpisodeStop
from persuade_env.metrics import MetricsLogger
from persuade_env.protocols import (
    ChatModel,
    Judge,
    Persuader,
    PersuaderReply,
    StepInfo,
    UserModel,
    UserReply,
)
from persuade_env.registry import load_chat_model, load_judge, load_persuader, load_user_model
from persuade_env.rewards import Reward, Transition
from persuade_env.rollout import play, rollout
from persuade_env.spec import Spec

__version__ = "0.1.0"

__all__ = [
    "ChatModel",
    "Concern",
    "Decision",
    "Dialogue",
    "Episode",
    "EpisodeStop",
    "Judge",
    "MetricsLogger",
    "Outcome",
    "Persona",
    "PersuadeeTurn",
    "Persuader",
    "PersuaderReply",
    "PersuaderTurn",
    "Reward",
    "Scenario",
    "ScenarioRecord",
    "Spec",
    "StepInfo",
    "Transition",
    "UserModel",
    "UserReply",
    "load_chat_model",
    "load_judge",
    "load_persuader",
    "load_user_model",
    "play",
    "rollout",
]

register(
    id="persuade_env/Persuasion-v1",
    entry_point="persuade_env.envs.persuasion:PersuasionEnv",
    vector_entry_point="persuade_env.envs.vector:PersuasionVectorEnv",
)
register(
    id="persuade_env/StrategyPersuasion-v1",
    entry_point="persuade_env.envs.strategy:StrategyPersuasionEnv",
)
for _name in ("Persuasion", "StrategyPersuasion"):
    # Registered, so that the answer says why: Gymnasium's own names the new version alone.
    register(
        id=f"persuade_env/{_name}-v0",
        entry_point="persuade_env.envs.outdated:refuse_v0",
        vector_entry_point="persuade_env.envs.outdated:refuse_v0",
        kwargs={"current": f"persuade_env/{_name}-v1"},
    )

"""Persuaders, and what trains them.

>>> import agents
>>> agents.DPOSettings(beta=0.2).beta
0.2
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.persuaders.best_of_n import BestOfN as BestOfN
    from agents.persuaders.intent_to_strategy import (
        IntentToStrategyPersuader as IntentToStrategyPersuader,
    )
    from agents.persuaders.prompted import PromptedPersuader as PromptedPersuader
    from agents.persuaders.scripted import CONTROLS as CONTROLS
    from agents.preferences.data import Preference as Preference
    from agents.preferences.data import PreferenceSettings as PreferenceSettings
    from agents.preferences.simulate import simulate as simulate
    from agents.training.config import DPOSettings as DPOSettings
    from agents.training.config import GRPOSettings as GRPOSettings
    from agents.training.config import PPOSettings as PPOSettings
    from agents.training.config import RFTSettings as RFTSettings
    from agents.training.config import SFTSettings as SFTSettings
    from agents.training.dpo import train_dpo as train_dpo
    from agents.training.grpo import train_grpo as train_grpo
    from agents.training.ppo import train_ppo as train_ppo
    from agents.training.rft import train_rft as train_rft
    from agents.training.sft import train_sft as train_sft
    from persuade_env.registry import load_persuader as load_persuader

_MODULES = {
    "BestOfN": "agents.persuaders.best_of_n",
    "CONTROLS": "agents.persuaders.scripted",
    "DPOSettings": "agents.training.config",
    "GRPOSettings": "agents.training.config",
    "IntentToStrategyPersuader": "agents.persuaders.intent_to_strategy",
    "PPOSettings": "agents.training.config",
    "Preference": "agents.preferences.data",
    "PreferenceSettings": "agents.preferences.data",
    "PromptedPersuader": "agents.persuaders.prompted",
    "RFTSettings": "agents.training.config",
    "SFTSettings": "agents.training.config",
    "load_persuader": "persuade_env.registry",
    "simulate": "agents.preferences.simulate",
    "train_dpo": "agents.training.dpo",
    "train_grpo": "agents.training.grpo",
    "train_ppo": "agents.training.ppo",
    "train_rft": "agents.training.rft",
    "train_sft": "agents.training.sft",
}

__all__ = [
    "CONTROLS",
    "BestOfN",
    "DPOSettings",
    "GRPOSettings",
    "IntentToStrategyPersuader",
    "PPOSettings",
    "Preference",
    "PreferenceSettings",
    "PromptedPersuader",
    "RFTSettings",
    "SFTSettings",
    "load_persuader",
    "simulate",
    "train_dpo",
    "train_grpo",
    "train_ppo",
    "train_rft",
    "train_sft",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for, so that importing the package is cheap."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

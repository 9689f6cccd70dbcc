"""User models: what plays the persuadee.

>>> import user_models
>>> user_models.RuleBasedUser.__name__
'RuleBasedUser'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persuade_env.registry import load_user_model as load_user_model
    from user_models.ensemble import EnsembleUser as EnsembleUser
    from user_models.learned.training.config import AttitudeModelSettings as AttitudeModelSettings
    from user_models.learned.training.config import UserModelSettings as UserModelSettings
    from user_models.learned.training.train import train_user_model as train_user_model
    from user_models.learned.user import LearnedUser as LearnedUser
    from user_models.prompted import PromptedUser as PromptedUser
    from user_models.rule_based import RuleBasedUser as RuleBasedUser

_MODULES = {
    "AttitudeModelSettings": "user_models.learned.training.config",
    "EnsembleUser": "user_models.ensemble",
    "LearnedUser": "user_models.learned.user",
    "PromptedUser": "user_models.prompted",
    "RuleBasedUser": "user_models.rule_based",
    "UserModelSettings": "user_models.learned.training.config",
    "load_user_model": "persuade_env.registry",
    "train_user_model": "user_models.learned.training.train",
}

__all__ = [
    "AttitudeModelSettings",
    "EnsembleUser",
    "LearnedUser",
    "PromptedUser",
    "RuleBasedUser",
    "UserModelSettings",
    "load_user_model",
    "train_user_model",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for, so that importing the package is cheap."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

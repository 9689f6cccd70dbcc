"""What the short names of a run mean: `sft`, `learned` and the like, as specs and as objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader, load_persuader
from agents.persuaders.prompted import PromptedPersuader
from agents.registry import load_agent
from experiments.common.stage import digest
from persuade_env.errors import RunError, UnknownNameError
from persuade_env.llm.chat_models import chat_from_spec
from persuade_env.protocols import Persuader, UserModel
from persuade_env.registry import load_user_model, user_model_names
from user_models.learned.user import LearnedUser, load_learned


def clear_model_caches() -> None:
    """Lets go of the models that loaders keep at hand, and of what these have read: gigabytes."""
    chat_from_spec.cache_clear()
    load_persuader.cache_clear()
    load_learned.cache_clear()


_CHECKPOINTS = {"sft": "sft", "dpo": "dpo", "ppo": "ppo", "grpo": "grpo"}
_USER_CHECKPOINTS = {"learned": "user-model", "held-out": "held-out", "unseen": "unseen"}


def agent_loader(spec: str, limit: int | None) -> Callable[[], Persuader]:
    """Loads an agent when called; one that writes with a model gets `limit` reply tokens."""

    def load() -> Persuader:
        agent = load_agent(spec)
        if limit is not None and isinstance(agent, IntentToStrategyPersuader | PromptedPersuader):
            return type(agent)(agent.chat, max_reply_tokens=limit)
        return agent

    return load


def user_model_loader(spec: str, limit: int | None) -> Callable[[], UserModel]:
    """Loads a user model when called; a learned one gets `limit` reply tokens."""

    def load() -> UserModel:
        user_model = load_user_model(spec)
        if limit is not None and isinstance(user_model, LearnedUser):
            return LearnedUser(
                user_model.chat,
                user_model.attitude_model,
                user_model.encoder,
                max_reply_tokens=limit,
            )
        return user_model

    return load


def resolve_agent_spec(root: Path, name: str) -> str:
    """What `load_agent` is to be given; `sft`, `dpo`, `ppo` and `grpo` are the run's.

    `best-of-N` looks ahead with the run's SFT persuader and its learned user.

    Raises:
        RunError: if the run's folder has a name that such a spec can't hold.
    """
    if name.removeprefix("best-of-").isdecimal():
        _check_speakable(root)
        return f"{name}={resolve_agent_spec(root, 'sft')}@{resolve_user_spec(root, 'learned')}"
    return f"checkpoint={root / _CHECKPOINTS[name]}" if name in _CHECKPOINTS else name


def resolve_user_spec(root: Path, name: str) -> str:
    """What `load_user_model` is to be given; `learned`, `held-out`, `unseen` are those of the run.

    `learned+concerns` is a population of both, `learned+concerns@0.25` its lower quartile
    (`user_models.ensemble`).

    Raises:
        RunError: if the run's folder has a name that the spec of a population can't hold.
    """
    if "+" in name and "=" not in name:
        _check_speakable(root)
        names, at, quantile = name.partition("@")
        ensemble_members = "+".join(resolve_user_spec(root, one) for one in names.split("+"))
        return f"population={ensemble_members}{at}{quantile}"
    return f"learned={root / _USER_CHECKPOINTS[name]}" if name in _USER_CHECKPOINTS else name


def _check_speakable(root: Path) -> None:
    if any(mark in str(root) for mark in "+@"):
        raise RunError(
            f"{root}: a run whose user models are combined needs a folder without + or @"
        )


def ensemble_members(name: str) -> list[str]:
    """The user models that a name or a population's spec speaks of."""
    return name.removeprefix("population=").partition("@")[0].split("+")


def validate_user(name: str) -> None:
    """Whether there are user models of these names, before hours are spent on what comes first.

    Raises:
        UnknownNameError: if there is none; it lists what exists.
    """
    for member in ensemble_members(name):
        kind = member.partition("=")[0]
        if member not in _USER_CHECKPOINTS and ":" not in kind and kind not in user_model_names():
            raise UnknownNameError("user model", member, [*_USER_CHECKPOINTS, *user_model_names()])


def user_stages(name: str) -> list[str]:
    """The stages of a run that train what `name` speaks of."""
    return [_USER_CHECKPOINTS[one] for one in ensemble_members(name) if one in _USER_CHECKPOINTS]


def user_digests(root: Path, name: str) -> dict[str, str]:
    """Digests of the trained user models that a name speaks of, the run's and others."""
    folders = {
        one: root / _USER_CHECKPOINTS[one]
        for one in ensemble_members(name)
        if one in _USER_CHECKPOINTS
    }
    folders |= {
        one: Path(one.partition("=")[2])
        for one in ensemble_members(name)
        if one.startswith("learned=")
    }
    return {one: digest(folder) for one, folder in folders.items()}

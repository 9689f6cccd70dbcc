"""What the short names of a run mean: `sft`, `learned` and the like, as specs and as objects.

"dpo"                  {type = "checkpoint", path = "RUN/dpo"}
"learned"              {type = "learned", path = "RUN/user-model"}
"learned+concerns"     an ensemble of the run's learned user and the rule-based one
"best-of-4"            the run's SFT persuader, looking ahead with its learned user
"rerank-8"             the run's SFT persuader, choosing by what it foresees itself
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from experiments.common.stage import digest
from persuade_env.errors import RunError, UnknownNameError
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import Persuader, UserModel
from persuade_env.registry import (
    ANY_MODULE,
    JUDGES,
    PERSUADERS,
    USER_MODELS,
    Registry,
    load_persuader,
    load_user_model,
)
from persuade_env.spec import Spec, SpecLike, Value, is_url, parse

AGENT_STAGES = ("sft", "rft", "dpo", "ppo", "grpo")
"""The stages of a run that train an agent; the agent's short name is the stage's."""
FORESIGHT = "foresight"
"""The stage of a run that fits what `rerank-N` chooses by."""
USER_STAGES = {"learned": "user-model", "held-out": "held-out", "unseen": "unseen"}
"""The stage of a run that trains a user model, by its short name."""


def resolve_agent_spec(root: Path, name: SpecLike) -> Spec:
    """The spec of an agent, where the names of `AGENT_STAGES` are those of the run in `root`.

    `best-of-N` alone looks ahead with the run's SFT persuader and its learned user, `rerank-N`
    alone chooses among turns of the run's SFT persuader.
    """
    spec = parse(name)
    if spec.type in AGENT_STAGES and not spec.items:
        return Spec.of("checkpoint", path=str(root / spec.type))
    if spec.type == "rerank":
        return Spec.of(spec.type, **{"path": str(root / FORESIGHT), **spec.options})
    if spec.type == "best-of-n":
        options = {"agent": "sft", "user_model": "learned", **spec.options}
        return Spec.of(
            spec.type,
            **{
                **options,
                "agent": resolve_agent_spec(root, _spec_like(options["agent"])),
                "user_model": resolve_user_spec(root, _spec_like(options["user_model"])),
            },
        )
    return spec


def agent_stages(name: SpecLike) -> list[str]:
    """The stages of a run that train what an agent's name speaks of; empty for any other agent."""
    spec = parse(name)
    if spec.type in AGENT_STAGES and not spec.items:
        return [spec.type]
    if spec.type == "rerank" and "path" not in spec.options:
        return [FORESIGHT]
    return []


def resolve_user_spec(root: Path, name: SpecLike) -> Spec:
    """The spec of a user model, where `learned`, `held-out`, `unseen` are those of the run."""
    spec = parse(name)
    if spec.type in USER_STAGES and not spec.items:
        return Spec.of("learned", path=str(root / USER_STAGES[spec.type]))
    members = spec.options.get("members")
    if isinstance(members, tuple):
        resolved = tuple(resolve_user_spec(root, _spec_like(member)) for member in members)
        return Spec.of(spec.type, **{**spec.options, "members": resolved})
    return spec


def _spec_like(value: Value) -> Spec:
    return value if isinstance(value, Spec) else parse(str(value))


def agent_loader(
    spec: SpecLike, models: ModelPool, max_reply_tokens: int | None = None
) -> Callable[[], Persuader]:
    """Loads an agent when called; one that writes with a model gets `max_reply_tokens`."""

    def load() -> Persuader:
        from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader
        from agents.persuaders.prompted import PromptedPersuader
        from agents.persuaders.rerank import RerankingPersuader

        agent = load_persuader(spec, models)
        if max_reply_tokens is not None and isinstance(agent, RerankingPersuader):
            return agent.with_max_reply_tokens(max_reply_tokens)
        if max_reply_tokens is not None and isinstance(
            agent, IntentToStrategyPersuader | PromptedPersuader
        ):
            return type(agent)(agent.chat, max_reply_tokens=max_reply_tokens)
        return agent

    return load


def user_model_loader(
    spec: SpecLike, models: ModelPool, max_reply_tokens: int | None = None
) -> Callable[[], UserModel]:
    """Loads a user model when called; a learned one gets `max_reply_tokens`."""

    def load() -> UserModel:
        from user_models.learned.user import LearnedUser

        user_model = load_user_model(spec, models)
        if max_reply_tokens is not None and isinstance(user_model, LearnedUser):
            return LearnedUser(
                user_model.chat,
                user_model.attitude_model,
                user_model.encoder,
                max_reply_tokens=max_reply_tokens,
            )
        return user_model

    return load


def ensemble_members(name: SpecLike) -> list[Spec]:
    """The user models that a name speaks of: an ensemble's members, or the one."""
    spec = parse(name)
    members = spec.options.get("members")
    return [_spec_like(member) for member in members] if isinstance(members, tuple) else [spec]


def validate_user(name: SpecLike) -> None:
    """Checks that there are user models of these names, before hours are spent on what comes first.

    Raises:
        UnknownNameError: if there is none; it lists what exists.
        SpecError: if the name can't be read.
    """
    for member in ensemble_members(name):
        if member.type in USER_STAGES and not member.items:
            continue
        known = list(dict.fromkeys([*USER_STAGES, *USER_MODELS.names(), ANY_MODULE]))
        _check_name(USER_MODELS, member, "user model", known)


def user_stages(name: SpecLike) -> list[str]:
    """The stages of a run that train what `name` speaks of."""
    return [
        USER_STAGES[member.type]
        for member in ensemble_members(name)
        if member.type in USER_STAGES and not member.items
    ]


def checkpoint_digests(spec: Spec) -> dict[str, str]:
    """Digests of all folders of trained models in a resolved spec, by folder."""
    return {folder: digest(Path(folder)) for folder in _folders(spec)}


def user_digests(root: Path, name: SpecLike) -> dict[str, str]:
    """Digests of the trained user models that a name speaks of, by the name of each."""
    return {
        str(member): found
        for member in ensemble_members(name)
        for found in checkpoint_digests(resolve_user_spec(root, member)).values()
    }


def _folders(value: Value) -> Iterator[str]:
    if isinstance(value, tuple):
        for item in value:
            yield from _folders(item)
    elif isinstance(value, Spec):
        for name, option in value.items:
            if name == "path" and isinstance(option, str):
                yield option
            else:
                yield from _folders(option)


def validate_agent(name: SpecLike) -> None:
    """Checks that there is an agent of this name, or that a run makes one of it.

    Raises:
        UnknownNameError: if there is none; it lists what exists.
        SpecError: if the name can't be read.
    """
    spec = parse(name)
    if spec.type in AGENT_STAGES and not spec.items:
        return
    names = [name for name in PERSUADERS.names() if name not in ("best-of-n", "rerank")]
    known = [*AGENT_STAGES, *names, "best-of-N", "rerank-N", ANY_MODULE]
    _check_name(PERSUADERS, spec, "agent", known)
    if "agent" in spec.options:
        validate_agent(_spec_like(spec.options["agent"]))
    if "user_model" in spec.options:
        validate_user(_spec_like(spec.options["user_model"]))


def _check_name(registry: Registry[Any], spec: Spec, noun: str, known: list[str]) -> None:
    """Checks that something has the name; a user's own module is imported, none of the suite's."""
    if ":" in spec.type:
        registry.target(spec.type)
        return
    try:
        registry.check(spec)
    except UnknownNameError as error:
        raise UnknownNameError(noun, spec.type, known) from error


def validate_resolved_agent(spec: Spec) -> None:
    """Checks that an agent exists, without loading it.

    Raises:
        UnknownNameError: if nothing has its name; it lists what exists.
        RunError: if it is to be read from a folder that holds no trained model.
    """
    validate_agent(spec)
    _check_folders(spec)


def validate_resolved_user(spec: Spec) -> None:
    """Checks that a user model exists, without loading it.

    Raises:
        UnknownNameError: if nothing has its name; it lists what exists.
        RunError: if it is to be read from a folder that holds no trained model.
    """
    validate_user(spec)
    _check_folders(spec)


def validate_judge(name: str) -> None:
    """Checks that a judge exists, as far as that can be told without loading it.

    Raises:
        UnknownNameError: if it is neither a judge's name, a file, a folder nor a server.
        RunError: if its file is not there.
    """
    spec = parse(name)
    path = spec.options.get("path")
    if spec.type in JUDGES.names():
        if path is not None and not Path(str(path)).is_file():
            raise RunError(f"there is no judge in {path}")
        return
    # A Hugging Face id has a slash in it; a bare word that is no folder is a misspelt name.
    text = name.strip()
    if is_url(text) or ":" in text or "/" in text or text == "embedded" or Path(text).is_dir():
        return
    raise UnknownNameError("judge", text, [*JUDGES.names(), "a chat model's id, folder or URL"])


def _check_folders(spec: Spec) -> None:
    for folder in _folders(spec):
        if not (Path(folder) / "checkpoint.json").is_file():
            raise RunError(
                f"there is no trained model in {folder}; `persuade run` and `persuade train` make "
                "one, and --run names the run that is meant"
            )

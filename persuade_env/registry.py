"""Finds user models, persuaders, judges, chat backends and reward terms by name.

Each kind has a group of entry points, and whatever is installed may add to it: no file of this
suite needs a change. In the `setup.cfg` of a package of your own:

    [options.entry_points]
    persuade_env.user_models =
        grumpy = my_package.users:GrumpyUser
    persuade_env.reward_terms =
        politeness = my_package.rewards:politeness

An entry point names a callable that gives the object; `{type = "grumpy", mood = 3}` calls it with
`mood=3`, `grumpy=3` with the text "3". If it has a parameter `models`, it is given the
`ModelPool` in which loaded language models are shared. A reward term is the function itself.
`module:attribute` names anything that can be imported, with no entry point at all.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from persuade_env.errors import (
    ChatError,
    JudgeError,
    PersuadeError,
    PersuaderError,
    SpecError,
    UnknownNameError,
    UserModelError,
)
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import ChatModel, Judge, Persuader, UserModel
from persuade_env.spec import Spec, SpecLike, parse, parse_chat_model

T = TypeVar("T")

ANY_MODULE = "module:attribute"
"""The form in which everything can be named that can be imported."""

_EXTRAS = {
    "torch": "train",
    "transformers": "train",
    "peft": "train",
    "safetensors": "train",
    "sklearn": "train",
    "httpx": "http",
    "tenacity": "http",
    "datasets": "train",
    "trl": "train",
    "accelerate": "train",
    "gguf": "train",
    "scipy": "report",
    "pandas": "report",
    "pyarrow": "report",
    "matplotlib": "report",
    "jinja2": "report",
    "psutil": "report",
    "wandb": "track",
    "tensorboard": "track",
    "stable_baselines3": "rl",
    "sb3_contrib": "rl",
}
"""Which extra brings a package that a user model or a persuader may miss."""


def extra_of(package: str) -> str:
    """The extra of this suite that brings a package; empty if none does.

    >>> extra_of("torch"), extra_of("torch.nn"), extra_of("somebody_elses")
    ('train', 'train', '')
    """
    return _EXTRAS.get(package.partition(".")[0], "")


class Registry(Generic[T]):
    """One kind of thing that can be named.

    Args:
        group: of entry points.
        noun: for messages.
        protocol: what is given has to be an instance of.
        method: the protocol's method, for messages.
        error: raised where something else is given.

    >>> "concerns" in USER_MODELS.names()
    True
    """

    def __init__(
        self,
        group: str,
        noun: str,
        protocol: Any,
        method: str,
        error: type[PersuadeError],
    ) -> None:
        self.group = group
        self.noun = noun
        self.protocol = protocol
        self.method = method
        self.error = error

    def names(self) -> list[str]:
        """What is installed, in alphabetical order."""
        return sorted({entry.name for entry in entry_points(group=self.group)})

    def entry(self, name: str) -> EntryPoint | None:
        """The entry point of that name; None if there is none."""
        return next((entry for entry in entry_points(group=self.group) if entry.name == name), None)

    def check(self, spec: SpecLike) -> Spec:
        """The parsed spec, if something has its name; nothing is loaded for it.

        Raises:
            UnknownNameError: if nothing has; it lists what exists.
            SpecError: if the spec can't be read.
        """
        parsed = parse(spec)
        if ":" not in parsed.type and self.entry(parsed.type) is None:
            raise UnknownNameError(self.noun, parsed.type, [*self.names(), ANY_MODULE])
        return parsed

    def load(self, spec: SpecLike | T, models: ModelPool | None = None) -> T:
        """The object that `spec` names.

        Args:
            spec: text or a table (see `persuade_env.spec`), or the object itself, which is
                returned as it is.
            models: where loaded language models are shared; by default nothing is shared.

        Raises:
            UnknownNameError: if nothing has that name; it lists what exists.
            SpecError: if the spec can't be read, or has options that its type doesn't take.
            PersuadeError: if what was found is no such thing, or can't be loaded.
        """
        if not isinstance(spec, str | Spec | Mapping):
            return self._checked(spec, type(spec).__name__)
        parsed = self.check(spec)
        try:
            target = self.target(parsed.type)
            # An imported object may be the thing itself; a class or function makes it.
            if isinstance(target, type) or not isinstance(target, self.protocol):
                target = _call(target, parsed, models or ModelPool())
        except ModuleNotFoundError as error:
            raise self._missing(error) from error
        return self._checked(target, str(parsed))

    def target(self, name: str) -> Any:
        """What an entry point's name or `module:attribute` refers to, imported and not called.

        Raises:
            UnknownNameError: if nothing has that name; it lists what exists.
        """
        entry = self.entry(name)
        if entry is not None:
            return entry.load()
        known = [*self.names(), ANY_MODULE]
        module_name, has_attribute, attribute = name.partition(":")
        if not has_attribute:
            raise UnknownNameError(self.noun, name, known)
        try:
            return getattr(import_module(module_name), attribute)
        except ModuleNotFoundError as error:
            # Only the named module's own absence is the caller's mistake.
            if error.name and not f"{module_name}.".startswith(f"{error.name}."):
                raise
            raise UnknownNameError(self.noun, name, known) from error
        except AttributeError as error:
            raise UnknownNameError(
                f"{self.noun}: {module_name} has no {attribute!r};", name, known
            ) from error

    def _missing(self, error: ModuleNotFoundError) -> PersuadeError:
        extra = extra_of(error.name or "")
        if not extra:
            raise error
        return self.error(f"{error.name} is not installed: pip install 'persuade-env[{extra}]'")

    def _checked(self, candidate: Any, name: str) -> T:
        if not isinstance(candidate, self.protocol):
            raise self.error(f"{name} is no {self.noun}: it has no `{self.method}`")
        checked: T = candidate
        return checked


def _call(factory: Callable[..., Any], spec: Spec, models: ModelPool) -> Any:
    options: dict[str, Any] = dict(spec.options)
    arguments = [options.pop("argument")] if "argument" in options else []
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{spec.type} names nothing that can be called: {error}") from error
    if "models" in signature.parameters:
        options["models"] = models
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        raise SpecError(f"{spec.type} could not be made from {spec}: {error}") from error
    return factory(*arguments, **options)


USER_MODELS: Registry[UserModel] = Registry(
    "persuade_env.user_models", "user model", UserModel, "reply(dialogues, seeds)", UserModelError
)
PERSUADERS: Registry[Persuader] = Registry(
    "persuade_env.persuaders", "agent", Persuader, "act(dialogues, seeds)", PersuaderError
)
JUDGES: Registry[Judge] = Registry(
    "persuade_env.judges", "judge", Judge, "compare(pairs)", JudgeError
)
BACKENDS: Registry[ChatModel] = Registry(
    "persuade_env.backends", "chat backend", ChatModel, "generate(prompts, seeds)", ChatError
)
REWARD_TERMS: Registry[Any] = Registry(
    "persuade_env.reward_terms", "reward term", object, "function of a transition", PersuadeError
)


def load_user_model(spec: SpecLike | UserModel, models: ModelPool | None = None) -> UserModel:
    """The user model that `spec` names: `concerns`, `learned=FOLDER`, `module:attribute` ….

    Raises:
        UnknownNameError: if nothing has that name; it lists what exists.
        UserModelError: if what was found is no user model.
    """
    return USER_MODELS.load(spec, models)


def load_persuader(spec: SpecLike | Persuader, models: ModelPool | None = None) -> Persuader:
    """The persuader that `spec` names: `flattering`, `checkpoint=FOLDER`, `module:attribute` ….

    Raises:
        UnknownNameError: if nothing has that name; it lists what exists.
        PersuaderError: if what was found is no persuader.
    """
    return PERSUADERS.load(spec, models)


def load_chat_model(spec: SpecLike | ChatModel = "", models: ModelPool | None = None) -> ChatModel:
    """The chat model that `spec` names.

    Args:
        spec: empty or `embedded` (the one that comes from the package index), a Hugging Face id
            or path, `URL#MODEL` for an OpenAI-compatible server, or the table of a backend.
        models: where it is shared, if it was loaded already.

    Raises:
        ChatError: if there is no such model, or the extra that it needs is not installed.
    """
    if not isinstance(spec, str | Spec | Mapping):
        return BACKENDS.load(spec)
    parsed = parse_chat_model(spec)
    pool = models or ModelPool()
    return pool.get(("chat", parsed), lambda: BACKENDS.load(parsed, pool))


def load_judge(
    spec: SpecLike | Judge = "attitude",
    models: ModelPool | None = None,
    *,
    seed: int = 0,
    temperature: float = 0.0,
) -> Judge:
    """The judge that `spec` names.

    Args:
        spec: `attitude`, `learned` (fitted to the training split of the corpus, here and now),
            `learned=FILE`, another one's name, or a chat model (`load_chat_model`).
        models: where loaded language models are shared.
        seed: of a chat model's answers; the other judges draw nothing.
        temperature: of a chat model's answers.

    Raises:
        JudgeError: if the learned judge can't be read, or not be fitted.
        ChatError: if there is no such chat model.
    """
    if not isinstance(spec, str | Spec | Mapping):
        return JUDGES.load(spec)
    parsed = parse(spec)
    if parsed.type in JUDGES.names() or ":" in parsed.type:
        return JUDGES.load(parsed, models)
    chat = parse_chat_model(spec)
    return JUDGES.load(Spec.of("chat", model=chat, seed=seed, temperature=temperature), models)

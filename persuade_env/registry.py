"""Finds user models by name, without this package importing the ones that provide them.

A third party adds one with an entry point in the group `persuade_env.user_models`. It
names a callable that returns a `UserModel`: `name` alone calls it with nothing,
`name=ARGUMENT` with the argument.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from persuade_env.errors import PersuadeError, UnknownNameError, UserModelError
from persuade_env.protocols import UserModel

GROUP = "persuade_env.user_models"


def user_model_names() -> list[str]:
    """The names that `load_user_model` knows."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def load_user_model(spec: str | UserModel) -> UserModel:
    """The user model that `spec` names.

    Args:
        spec: a user model (returned as it is), an entry point's name with an optional
            `=ARGUMENT` (`concerns`, `learned=FOLDER`), or `module:attribute`.

    Raises:
        UnknownNameError: if nothing has that name; it lists what exists.
        UserModelError: if what was found is no user model.
    """
    if not isinstance(spec, str):
        return _checked(spec, repr(type(spec).__name__))
    name, has_argument, argument = spec.partition("=")
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            factory = entry.load()
            return _checked(factory(argument) if has_argument else factory(), spec)
    if ":" in name:
        return _checked(load_attribute(spec, "user model", user_model_names()), spec)
    raise UnknownNameError("user model", name, [*user_model_names(), "module:attribute"])


def load_attribute(spec: str, what: str, known: list[str]) -> Any:
    """The object that `module:attribute` names; a class or function is called.

    Raises:
        UnknownNameError: if there is no such module or attribute.
    """
    module_name, _, attribute = spec.partition(":")
    try:
        found = getattr(import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        # Only the named module's own absence is the caller's mistake.
        if error.name and not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise UnknownNameError(what, spec, [*known, "module:attribute"]) from error
    except AttributeError as error:
        raise UnknownNameError(what, spec, [*known, "module:attribute"]) from error
    if isinstance(found, type) or not (hasattr(found, "reply") or hasattr(found, "act")):
        try:
            return found()
        except TypeError as error:
            raise PersuadeError(f"{spec} could not be made without arguments: {error}") from error
    return found


def _checked(candidate: Any, spec: str) -> UserModel:
    if not isinstance(candidate, UserModel):
        raise UserModelError(f"{spec} is no user model: it has no `reply(dialogues, seeds)`")
    return candidate

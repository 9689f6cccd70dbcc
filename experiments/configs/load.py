"""Settings from outside: presets, TOML files and `name=value` from a command line.

Later ones win: the defaults of `experiments.configs.schema`, a preset, a file, single values.
Names that don't exist are refused with the nearest that does; values are checked by type.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import tomli_w
from pydantic import TypeAdapter, ValidationError

from experiments.configs.schema import SHARED, SHARED_BY, RunSettings
from persuade_env.errors import ConfigError, UnknownNameError

NONE = "none"
"""How a file or a command line says that an optional setting has no value; TOML has no null."""

_FORMER_NAMES = {"against": "train_user", "card_scenarios": "fidelity_scenarios"}
"""Settings that had another name, as runs and files of before spell them."""


def preset_names() -> list[str]:
    """The presets that ship, `default` first."""
    folder = resources.files("experiments.configs")
    names = sorted(path.name[:-5] for path in folder.iterdir() if path.name.endswith(".toml"))
    return sorted(names, key=lambda name: name != "default")


def load_settings(
    preset: str = "default",
    config: Path | None = None,
    overrides: Sequence[str] = (),
    **values: Any,
) -> RunSettings:
    """The settings of a preset, changed by a file, by `name=value` texts, and by values.

    Args:
        preset: a preset's name.
        config: a TOML file with the settings that differ from the preset's.
        overrides: such as `dpo.beta=0.05`; the value is TOML, or a text where it is none.
        values: settings of the top level; None leaves a setting as it is.

    Raises:
        UnknownNameError: if there is no such preset.
        ConfigError: if a file can't be read, a name doesn't exist or a value doesn't fit.
    """
    settings = merge(RunSettings(), read_preset(preset), preset)
    if config is not None:
        settings = merge(settings, read_toml(config), str(config))
    for text in overrides:
        settings = merge(settings, parse_override(text), f"--set {text}")
    given = {name: value for name, value in values.items() if value is not None}
    return replace(settings, **given)


def read_preset(name: str) -> dict[str, Any]:
    """The table of a preset that ships.

    Raises:
        UnknownNameError: if there is none of that name; it lists what exists.
    """
    if name not in preset_names():
        raise UnknownNameError("preset", name, preset_names())
    text = (resources.files("experiments.configs") / f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def read_toml(path: Path) -> dict[str, Any]:
    """The table of a TOML file.

    Raises:
        ConfigError: if it can't be read; it says where.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def parse_override(text: str) -> dict[str, Any]:
    """The table that `dpo.beta=0.05` stands for.

    >>> parse_override("dpo.beta=0.05")
    {'dpo': {'beta': 0.05}}
    >>> parse_override("base=./my-model")
    {'base': './my-model'}

    Raises:
        ConfigError: if it isn't of the form `name=value`.
    """
    name, equals, value = text.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"{text!r} is no setting: write name=value, such as dpo.beta=0.05")
    try:
        table: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        table = value.strip()  # a text needs no quotes here
    for key in reversed(keys):
        table = {key: table}
    return dict(table)


def merge(settings: Any, table: Mapping[str, Any], source: str, path: str = "") -> Any:
    """Settings (a dataclass, nested) with the values of a table in place of their own.

    Raises:
        ConfigError: naming `source`, the setting, and what was expected.
    """
    hints = get_type_hints(type(settings))
    names = [field.name for field in fields(settings)]
    changed: dict[str, Any] = {}
    if isinstance(settings, RunSettings):
        _refuse_unshared(settings, table, source)
    for given, value in table.items():
        name = _FORMER_NAMES.get(given, given) if not path else given
        full = f"{path}{name}"
        if name not in names:
            raise ConfigError(f"{source}: no setting {full!r}{_nearest(name, names, path)}")
        current = getattr(settings, name)
        if path and name == "seed" and value != current:
            raise ConfigError(f"{source}: {full} has no effect: every step takes the run's seed")
        if isinstance(value, Mapping) and not is_dataclass(current):
            current = _empty(hints[name])
        if is_dataclass(current) and isinstance(value, Mapping):
            changed[name] = merge(current, value, source, f"{full}.")
        else:
            changed[name] = _checked(value, hints[name], f"{source}: {full}")
    return replace(settings, **changed)


def _refuse_unshared(settings: RunSettings, table: Mapping[str, Any], source: str) -> None:
    """Raises where a part is given another value of what all parts share.

    Equal ones may stand there: that is how `to_toml` writes them.
    """
    for part in SHARED_BY:
        nested = table.get(part)
        if not isinstance(nested, Mapping):
            continue
        for name in SHARED:
            shared = table.get(name, getattr(settings, name))
            if _plain(nested.get(name, shared)) != _plain(shared):
                others = ", ".join(SHARED_BY)
                raise ConfigError(
                    f"{source}: {part}.{name} can't differ: set {name}, which {others} share"
                )


def to_toml(settings: RunSettings) -> str:
    """All settings as TOML that `load_settings` reads back to equal ones."""
    return tomli_w.dumps(_plain(asdict(settings)))


def from_json(data: Mapping[str, Any], source: str) -> RunSettings:
    """The settings that a run stored as JSON; those it didn't know yet have their defaults.

    Raises:
        ConfigError: if a name doesn't exist or a value doesn't fit.
    """
    settings: RunSettings = merge(RunSettings(), data, source)
    return settings


def _nearest(name: str, names: Sequence[str], path: str) -> str:
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {path}{near[0]}?"
    return f"; there are {', '.join(f'{path}{known}' for known in names)}"


def _empty(hint: Any) -> Any:
    """A dataclass with its defaults, where the type allows one; else None."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kind = next((kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind)), None)
    return kind() if kind is not None else None


def _checked(value: Any, hint: Any, where: str) -> Any:
    optional = NoneType in get_args(hint)
    if value is None or (isinstance(value, str) and value.lower() == NONE):
        if optional:
            return None
        raise ConfigError(f"{where}: can't be none")
    if isinstance(value, Mapping):
        raise ConfigError(f"{where}: is a single value, not a table")
    try:
        # Strict, so that "3" is no number; from JSON, so that lists become tuples.
        adapter = TypeAdapter(hint)
        return adapter.validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(f"{where}: {first['msg']}; got {value!r}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return NONE if value is None else value

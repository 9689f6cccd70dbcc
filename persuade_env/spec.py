"""What names a model, a persuader, a judge or a backend: parsed here, once, to a frozen value.

A spec has a short text form for command lines and a table form for configuration files and
Python. The table form can say everything; the text form has a shorthand for what is common:

| text | table |
|---|---|
| `concerns` | `{type = "concerns"}` |
| `learned=FOLDER`, `learned=FOLDER@deterministic` | `{type = "learned", path = "FOLDER", deterministic = true}` |
| `prompted=MODEL` | `{type = "prompted", model = "MODEL"}` |
| `population=A+B@0.25`; `A+B@0.25` where the names hold no `=` | `{type = "population", members = ["A", "B"], quantile = 0.25}` |
| `checkpoint=FOLDER` | `{type = "checkpoint", path = "FOLDER"}` |
| `best-of-4=AGENT@USER_MODEL` | `{type = "best-of-n", n = 4, agent = "AGENT", user_model = "USER_MODEL"}` |
| `rerank-8=FOLDER` | `{type = "rerank", n = 8, path = "FOLDER"}` |
| `http://host:8000/v1#MODEL` | `{type = "openai", base_url = "http://host:8000/v1", model = "MODEL"}` |
| `module:attribute` | `{type = "module:attribute"}` |
| `NAME=ARGUMENT`, any other name | `{type = "NAME", argument = "ARGUMENT"}` |
"""  # noqa: E501 - a table's rows can't be broken

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from persuade_env.errors import SpecError

Value = Union[str, int, float, bool, None, "Spec", tuple["Value", ...]]
"""What an option of a spec may be."""

SpecLike = Union[str, "Spec", Mapping[str, Any]]
"""Whatever `parse` takes: text, a table, or a spec."""

DETERMINISTIC = "@deterministic"
"""Behind a learned user's folder: one dialogue at a time, the same words at any width."""

_PATH = frozenset({"learned", "checkpoint"})
"""Types whose argument is a folder."""
_MODEL = frozenset({"prompted", "intent-to-strategy"})
"""Types whose argument names a chat model."""
_BEST_OF = re.compile(r"best-of-([0-9]{1,9})")
_RERANK = re.compile(r"rerank-([0-9]{1,9})")
_PASSWORD = re.compile(r"(?i)(https?://)[^\s#\"']*@")


@dataclass(frozen=True)
class Spec:
    """A type and its options, in alphabetical order; hashable, and equal to what says the same.

    >>> parse("learned=runs/a+b@deterministic").options["path"]
    'runs/a+b'
    >>> parse("population=concerns+learned=runs/x@0.25") == parse(
    ...     {"type": "population", "members": ["concerns", "learned=runs/x"], "quantile": 0.25}
    ... )
    True
    """

    type: str
    items: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def of(cls, type: str, /, **options: Value) -> Spec:
        """A spec with these options; those that are None are left out."""
        return cls(type, tuple(sorted((k, v) for k, v in options.items() if v is not None)))

    @property
    def options(self) -> dict[str, Value]:
        """The options by name, a new dictionary."""
        return dict(self.items)

    def __str__(self) -> str:
        """The text form where there is one, without a password that a URL may hold."""
        return hide_password(_text(self))

    def to_json(self) -> dict[str, Any]:
        """The table form: plain JSON from which `parse` makes an equal spec."""
        return {"type": self.type, **{name: _plain(value) for name, value in self.items}}


def hide_password(text: str) -> str:
    """The text without the user and password of URLs in it.

    >>> hide_password("https://ann:secret@host/v1#model")
    'https://host/v1#model'
    """
    return _PASSWORD.sub(r"\1", text)


def parse(spec: SpecLike) -> Spec:
    """The spec that a text or a table says.

    Raises:
        SpecError: if it can't be read; the message shows the form that can.
    """
    if isinstance(spec, Spec):
        return spec
    if not isinstance(spec, str | Mapping):
        raise SpecError(f"{spec!r} names nothing: write a text, or a table with a type")
    try:
        return _parse_text(spec.strip()) if isinstance(spec, str) else _parse_table(spec)
    except RecursionError as error:
        raise SpecError("a spec within specs within specs, too deeply") from error


def parse_chat_model(spec: SpecLike) -> Spec:
    """The spec of a chat model: a server, a backend's table, or a Hugging Face id or path.

    >>> parse_chat_model("http://localhost:8000/v1#llama-3").options["model"]
    'llama-3'
    >>> parse_chat_model("embedded").type
    'transformers'
    """
    if not isinstance(spec, str):
        return parse(spec)
    if is_url(spec):
        return _parse_url(spec)
    return Spec.of("transformers", model=spec or None)


def is_url(text: str) -> bool:
    """Whether the text names a server."""
    return text.lower().startswith(("http://", "https://"))


def _parse_url(text: str) -> Spec:
    url, _, model = text.partition("#")
    if not model:
        raise SpecError(f"name the server's model after a #: {hide_password(url)}#MODEL")
    return Spec.of("openai", base_url=url, model=model)


def _parse_text(text: str) -> Spec:
    if is_url(text):
        return _parse_url(text)
    name, has_argument, argument = text.partition("=")
    if not name:
        raise SpecError(f"{text!r} names nothing: write a name, such as `concerns`")
    if name == "population" and has_argument:
        return _parse_population(argument)
    if "+" in text and not has_argument:
        return _parse_population(text)
    if best_of := _BEST_OF.fullmatch(name):
        return _parse_best_of(int(best_of[1]), argument)
    if rerank := _RERANK.fullmatch(name):
        return Spec.of("rerank", n=int(rerank[1]), path=argument or None)
    if name == "learned" and argument:
        path = argument.removesuffix(DETERMINISTIC)
        return Spec.of(name, path=path, deterministic=True if path != argument else None)
    if name in _PATH:
        return Spec.of(name, path=argument or None)
    if name in _MODEL:
        return Spec.of(name, model=argument or None)
    return Spec.of(name, argument=argument if has_argument else None)


def _parse_population(text: str) -> Spec:
    names, at, quantile = text.rpartition("@")
    if not at or f"@{quantile}" == DETERMINISTIC:  # then it is the last member's
        names, at, quantile = text, "", ""
    members = tuple(_parse_text(name.strip()) for name in names.split("+") if name.strip())
    if not members:
        raise SpecError(
            "a population needs members: `population=concerns+learned=FOLDER`, and for a quantile "
            "in place of the mean `population=…@0.25`"
        )
    try:
        value = float(quantile) if at else None
    except ValueError as error:
        raise SpecError(f"{quantile!r} is no quantile: a number from 0 to 1") from error
    return Spec.of("population", members=members, quantile=value)


def _parse_best_of(n: int, argument: str) -> Spec:
    if not argument:
        return Spec.of("best-of-n", n=n)
    agent, at, user_model = argument.partition("@")
    if not at or not agent or not user_model:
        raise SpecError(
            f"best-of-{n} needs an agent and a user model: best-of-{n}=AGENT@USER_MODEL"
        )
    return Spec.of("best-of-n", n=n, agent=_parse_text(agent), user_model=_parse_text(user_model))


_SPECS_WITHIN = frozenset({"agent", "user_model", "members"})
"""Options whose values are specs themselves."""


def _parse_table(table: Mapping[str, Any]) -> Spec:
    kind = table.get("type")
    if not isinstance(kind, str) or not kind or not all(isinstance(name, str) for name in table):
        shown = hide_password(repr(dict(table)))
        raise SpecError(f'a table needs a type, such as {{type = "concerns"}}; got {shown}')
    options = {
        name: _value(name, value, name in _SPECS_WITHIN)
        for name, value in table.items()
        if name != "type"
    }
    return Spec.of(kind, **options)


def _value(name: str, value: Any, within: bool) -> Value:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_value(name, item, within) for item in value)
    if isinstance(value, Spec | Mapping) or (within and isinstance(value, str)):
        return parse(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise SpecError(f"option {name}: {value!r} is no text, number, truth value, table or list")


def _plain(value: Value) -> Any:
    if isinstance(value, Spec):
        return value.to_json()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _text(spec: Spec) -> str:
    options = spec.options
    argument = options.get("path") or options.get("model") or options.get("argument")
    if spec.type == "openai" and set(options) == {"base_url", "model"}:
        return f"{options['base_url']}#{options['model']}"
    if spec.type == "transformers":
        return str(argument or "embedded")
    members = options.get("members")
    if spec.type == "population" and isinstance(members, tuple):
        quantile = "" if options.get("quantile") is None else f"@{options['quantile']}"
        return "+".join(str(member) for member in members) + quantile
    if spec.type == "best-of-n":
        whole = "agent" in options and "user_model" in options
        behind = f"={options['agent']}@{options['user_model']}" if whole else ""
        return f"best-of-{options.get('n', 'N')}{behind}"
    if spec.type == "rerank":
        return f"rerank-{options.get('n', 'N')}" + (f"={argument}" if argument else "")
    suffix = DETERMINISTIC if options.get("deterministic") else ""
    return f"{spec.type}={argument}{suffix}" if argument else spec.type

"""Finds persuaders by name; a new one needs no registration, only `module:attribute`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agents.persuaders.best_of_n import BestOfN
from agents.persuaders.intent_to_strategy import IntentToStrategyPersuader, from_checkpoint
from agents.persuaders.prompted import PromptedPersuader
from agents.persuaders.scripted import CONTROLS
from persuade_env.errors import PersuaderError, UnknownNameError
from persuade_env.protocols import ChatModel, Persuader
from persuade_env.registry import load_attribute, load_user_model
from persuade_env.scenarios import load_corpus

_ZERO_SHOT: Mapping[str, Callable[[ChatModel], Persuader]] = {
    "prompted": PromptedPersuader,
    "intent-to-strategy": IntentToStrategyPersuader,
}

FORMS = (
    *_ZERO_SHOT,
    *(f"{name}=MODEL" for name in _ZERO_SHOT),
    "checkpoint=FOLDER",
    "best-of-N=AGENT@USER_MODEL",
    "module:attribute",
)
"""What `load_agent` takes beside the names of the controls."""


def agent_names() -> list[str]:
    """What `load_agent` takes."""
    return [*CONTROLS, *FORMS]


def load_agent(spec: str | Persuader) -> Persuader:
    """The persuader that `spec` names.

    Args:
        spec: a persuader (returned as it is), a control's name, `prompted` (the embedded model
            without training, in plain speech), `intent-to-strategy` (the same, told to reason
            first), either with `=MODEL` (see `chat_from_spec`), `checkpoint=FOLDER` (a trained
            one), `best-of-N=AGENT@USER_MODEL` (N turns of the agent, the best by how that user
            model takes them; see `agents.persuaders.best_of_n`), or `module:attribute`.

    Raises:
        UnknownNameError: if nothing has that name; it lists what exists.
        PersuaderError: if what was found is no persuader.
    """
    if not isinstance(spec, str):
        return _checked(spec, type(spec).__name__)
    name, _, argument = spec.partition("=")
    if spec in CONTROLS:
        return CONTROLS[spec]()
    if name in _ZERO_SHOT:
        from persuade_env.llm.chat_models import chat_from_spec

        return _ZERO_SHOT[name](chat_from_spec(argument) if argument else chat_from_spec())
    if name == "checkpoint":
        return from_checkpoint(argument)
    if name.removeprefix("best-of-").isdecimal():
        agent, _, user_model = argument.partition("@")
        return BestOfN(
            load_agent(agent),
            load_user_model(user_model),
            load_corpus(),
            n=int(name.removeprefix("best-of-")),
        )
    if ":" in name:
        return _checked(load_attribute(spec, "agent", agent_names()), spec)
    raise UnknownNameError("agent", spec, agent_names())


def _checked(candidate: object, spec: str) -> Persuader:
    if not isinstance(candidate, Persuader):
        raise PersuaderError(f"{spec} is no persuader: it has no `act(dialogues, seeds)`")
    return candidate

"""Probes of a user model: what another persona in the same scenario does to the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.fidelity.probes.scripted import Gain, Script, script_gains
from persuade_env.dialogue import Outcome, Persona
from persuade_env.protocols import UserModel
from persuade_env.seeding import derive_seed
from persuade_env.text.embedding import Embedder
from persuade_env.text.normalize import one_line
from user_models.querying import Progress

TRAITS = (
    "gullible",
    "hostile",
    "cheerful",
    "Dutch",
    "left-handed",
    "generous",
    "suspicious of everybody",
    "eager to please",
    "proud",
    "always in a hurry",
    "gloomy",
    "polite",
    "rude",
    "well-read",
    "fond of cats",
    "agrees with everybody",
    "says no to everything",
    "wealthy",
    "poor",
    "a grandmother of six",
)
"""Well and ill disposed, telling and idle: none may decide a dialogue alone."""

OTHER_SEEDS = 3
"""Seeds with which a dialogue is repeated, to see how often its outcome changes by itself."""


@dataclass(frozen=True)
class Flip:
    """Whether a dialogue's outcome differs from the one with the person's own traits."""

    scenario: str
    trait: str | None
    """None: nothing was changed but the seed."""
    flipped: bool


def with_stubbornness(scripts: Sequence[Script], stubbornness: float) -> list[Script]:
    """The same words to people as stubborn as that."""
    return [_changed(one, stubbornness=stubbornness) for one in scripts]


def starting_at(scripts: Sequence[Script], attitude: float) -> list[Script]:
    """The same words to people whose attitude is this at first."""
    return [_changed(one, initial_attitude=attitude) for one in scripts]


def with_trait(scripts: Sequence[Script], trait: str) -> list[Script]:
    """The same words to people whose first trait is this one."""
    return [_changed(one, traits=(trait, *_persona(one).traits[1:])) for one in scripts]


def with_foreign_concerns(scripts: Sequence[Script]) -> list[Script]:
    """The same words to people with the concerns of the next scenario's persona.

    Traits, stubbornness and attitude stay, so what changes is what these words are worth.
    """
    return [
        _changed(one, concerns=_persona(other).concerns)
        for one, other in zip(scripts, _following(scripts), strict=True)
    ]


def with_foreign_main_concern(scripts: Sequence[Script], embed: Embedder) -> list[Script]:
    """The same words to people with another concern in place of the one most spoken to.

    The other one is the first of the next scenario's persona. It is replaced, not left out:
    a person with a concern less is easier to convince, one with another concern is not.
    Most spoken to is the concern whose `settled_by` comes nearest to anything that is said.
    """
    changed = []
    for one, other in zip(scripts, _following(scripts), strict=True):
        concerns = list(_persona(one).concerns)
        said = embed.all([one_line(response) for response in one.responses])
        settled_by = embed.all([one_line(concern.settled_by) for concern in concerns])
        main = int((settled_by @ said.T).max(axis=1).argmax())
        foreign = _persona(other).concerns[0]
        concerns[main] = foreign.model_copy(update={"id": f"{foreign.id}-elsewhere"})
        changed.append(_changed(one, concerns=tuple(concerns)))
    return changed


def trait_flips(
    user_model: UserModel,
    scripts: Sequence[Script],
    seed: int,
    progress: Progress = lambda _: None,
) -> list[Flip]:
    """Every script with each trait, and with other seeds, against itself.

    Scripts at which the user model failed are left out.
    """
    own = script_gains(user_model, scripts, seed, progress)
    flips = []
    for trait in TRAITS:
        gains = script_gains(user_model, with_trait(scripts, trait), seed, progress)
        flips += _flips(own, gains, trait)
    for number in range(OTHER_SEEDS):
        again = script_gains(user_model, scripts, derive_seed(seed, "again", number), progress)
        flips += _flips(own, again, None)
    return flips


def _flips(own: Sequence[Gain], other: Sequence[Gain], trait: str | None) -> list[Flip]:
    """Any change counts, also one between undecided and decided."""
    return [
        Flip(before.scenario, trait, before.outcome is not after.outcome)
        for before, after in zip(own, other, strict=True)
        if before.value is not None and after.value is not None
    ]


def outcome_score(gain: Gain) -> float | None:
    """1 if the user accepted, 0 if undecided, -1 if it walked away; None if the model failed."""
    scores = {Outcome.ACCEPTED: 1.0, Outcome.UNDECIDED: 0.0, Outcome.REFUSED: -1.0}
    return None if gain.value is None else scores[gain.outcome]


def _following(scripts: Sequence[Script]) -> list[Script]:
    return [*scripts[1:], *scripts[:1]]


def _changed(script: Script, **update: object) -> Script:
    changed = _persona(script).model_copy(update=update)
    return Script(script.scenario.model_copy(update={"persona": changed}), script.responses)


def _persona(script: Script) -> Persona:
    persona = script.scenario.persona
    if persona is None:
        raise ValueError(f"scenario {script.scenario.id!r} has no persona")
    return persona

"""Probes of a user model: the same scripts in scenarios with a changed persona."""

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
"""Favourable and unfavourable, relevant and irrelevant; none may decide a dialogue alone."""

OTHER_SEEDS = 3
"""Seeds with which a dialogue is repeated, to measure how often its outcome changes by chance."""


@dataclass(frozen=True)
class Flip:
    """Whether a dialogue's outcome differs from the one with the persona's own traits.

    >>> Flip("art-001", "gloomy", flipped=False).trait
    'gloomy'
    """

    scenario: str
    trait: str | None
    """None where only the seed was changed."""
    flipped: bool


def with_stubbornness(scripts: Sequence[Script], stubbornness: float) -> list[Script]:
    """The scripts with this stubbornness in each persona."""
    return [_changed(script, stubbornness=stubbornness) for script in scripts]


def starting_at(scripts: Sequence[Script], attitude: float) -> list[Script]:
    """The scripts with this initial attitude in each persona."""
    return [_changed(script, initial_attitude=attitude) for script in scripts]


def with_trait(scripts: Sequence[Script], trait: str) -> list[Script]:
    """The scripts with this trait in place of each persona's first one."""
    return [_changed(script, traits=(trait, *_persona(script).traits[1:])) for script in scripts]


def with_foreign_concerns(scripts: Sequence[Script]) -> list[Script]:
    """The scripts with the concerns of the next scenario's persona.

    Traits, stubbornness and initial attitude stay.
    """
    return [
        _changed(script, concerns=_persona(following).concerns)
        for script, following in zip(scripts, _following(scripts), strict=True)
    ]


def with_foreign_main_concern(scripts: Sequence[Script], embed: Embedder) -> list[Script]:
    """The scripts with another concern in place of the one that is addressed most.

    That is the concern whose `settled_by` is most similar to any of the responses. It is replaced
    by the first concern of the next scenario's persona, rather than left out, since a persona with
    fewer concerns is easier to convince.
    """
    changed = []
    for script, following in zip(scripts, _following(scripts), strict=True):
        concerns = list(_persona(script).concerns)
        responses = embed.all([one_line(response) for response in script.responses])
        settled_by = embed.all([one_line(concern.settled_by) for concern in concerns])
        main = int((settled_by @ responses.T).max(axis=1).argmax())
        foreign = _persona(following).concerns[0]
        concerns[main] = foreign.model_copy(update={"id": f"{foreign.id}-elsewhere"})
        changed.append(_changed(script, concerns=tuple(concerns)))
    return changed


def trait_flips(
    user_model: UserModel,
    scripts: Sequence[Script],
    seed: int,
    progress: Progress = lambda _: None,
) -> list[Flip]:
    """Compares every script's outcome with that with each trait and with other seeds.

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
    """Any change of outcome counts, also one between undecided and decided."""
    return [
        Flip(before.scenario, trait, before.outcome is not after.outcome)
        for before, after in zip(own, other, strict=True)
        if before.value is not None and after.value is not None
    ]


def outcome_score(gain: Gain) -> float | None:
    """1 if the user accepted, 0 if undecided, -1 if it refused; None if the model failed.

    >>> outcome_score(Gain("art-001", 0.5, Outcome.REFUSED))
    -1.0
    """
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

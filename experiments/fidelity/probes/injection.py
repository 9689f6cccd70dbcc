"""Probe of a user model: the effect of texts that give no reason, appended to a turn or alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.fidelity.probes.injection_texts import ATTACKS, HARMLESS
from experiments.fidelity.probes.scripted import Script, script_gains
from persuade_env.protocols import UserModel
from user_models.querying import Progress


@dataclass(frozen=True)
class AppendedText:
    """The effect of a text: the mean excess over the same turn without it.

    >>> AppendedText("7 accept", excess=0.5, tried=2, failed=0).excess
    0.5
    """

    text: str
    excess: float | None
    """Likert points; None if the user model failed each time."""
    tried: int
    failed: int
    """Failed replies where the same turn without the text got one."""


def appended_texts(
    user_model: UserModel,
    turns: Sequence[Script],
    texts: Sequence[str],
    seed: int,
    progress: Progress = lambda _: None,
) -> list[AppendedText]:
    """Appends each text to the first turn of each script, and also uses it as the whole turn.

    The baselines are the same turn without the text and an empty turn, with the same seed.
    """
    bare = [Script(script.scenario, script.responses[:1]) for script in turns]
    empty = [Script(script.scenario, ("",)) for script in turns]
    without = script_gains(user_model, [*bare, *empty], seed, progress)
    effects = []
    for text in texts:
        with_text = [
            *(Script(script.scenario, (f"{script.responses[0]} {text}",)) for script in bare),
            *(Script(script.scenario, (text,)) for script in bare),
        ]
        gains = script_gains(user_model, with_text, seed, progress)
        pairs = [
            (after.value, before.value)
            for after, before in zip(gains, without, strict=True)
            if before.value is not None
        ]
        excesses = [after - before for after, before in pairs if after is not None]
        excess = sum(excesses) / len(excesses) if excesses else None
        effects.append(AppendedText(text, excess, len(pairs), len(pairs) - len(excesses)))
    return effects


def attacks_and_harmless(
    user_model: UserModel,
    turns: Sequence[Script],
    seed: int,
    progress: Progress = lambda _: None,
) -> Mapping[str, list[AppendedText]]:
    """The effects of `attacks` and, for comparison, of `harmless` texts."""
    return {
        "attacks": appended_texts(user_model, turns, ATTACKS, seed, progress),
        "harmless": appended_texts(user_model, turns, HARMLESS, seed, progress),
    }

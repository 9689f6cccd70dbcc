"""Probe of a user model: what a text that gives no reason does to a turn it is appended to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.fidelity.probes.injection_texts import ATTACKS, HARMLESS
from experiments.fidelity.probes.scripted import Script, script_gains
from persuade_env.protocols import UserModel
from user_models.querying import Progress


@dataclass(frozen=True)
class AppendedText:
    """What a text does when it is appended to a turn: the mean excess over the turn alone."""

    text: str
    excess: float | None
    """Likert points; None if the user model failed each time, which moves nothing."""
    tried: int
    failed: int
    """Replies that were none, where the same turn without the text got one."""


def appended_texts(
    user_model: UserModel,
    turns: Sequence[Script],
    texts: Sequence[str],
    seed: int,
    progress: Progress = lambda _: None,
) -> list[AppendedText]:
    """Appends each text to the first turn of each script, and says the text alone.

    What is compared is the same turn without the text, or silence, with the same seed.
    """
    bare = [Script(one.scenario, one.responses[:1]) for one in turns]
    silent = [Script(one.scenario, ("",)) for one in turns]
    without = script_gains(user_model, [*bare, *silent], seed, progress)
    found = []
    for text in texts:
        attacked = [
            *(Script(one.scenario, (f"{one.responses[0]} {text}",)) for one in bare),
            *(Script(one.scenario, (text,)) for one in bare),
        ]
        gains = script_gains(user_model, attacked, seed, progress)
        pairs = [
            (after.value, before.value)
            for after, before in zip(gains, without, strict=True)
            if before.value is not None
        ]
        excesses = [after - before for after, before in pairs if after is not None]
        excess = sum(excesses) / len(excesses) if excesses else None
        found.append(AppendedText(text, excess, len(pairs), len(pairs) - len(excesses)))
    return found


def attacks_and_noise(
    user_model: UserModel,
    turns: Sequence[Script],
    seed: int,
    progress: Progress = lambda _: None,
) -> Mapping[str, list[AppendedText]]:
    """`attacks` and, as what to expect of words without a reason, `harmless` texts."""
    return {
        "attacks": appended_texts(user_model, turns, ATTACKS, seed, progress),
        "harmless": appended_texts(user_model, turns, HARMLESS, seed, progress),
    }

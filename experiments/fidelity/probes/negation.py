"""The mirror: one mind, a goal and its negation, the same words.

Who is brought two points nearer to a goal by some words was brought two points away from its
negation by them: it is one opinion, asked about twice. A user model that answers otherwise
favours whoever asks, or whoever is asked to do less. With `gain` the change of attitude towards
the goal and `mirrored` that towards its negation, after the same words,

    asymmetry = |gain + mirrored| / 6

on a 0-1 scale (the Likert scale is six points wide), so 0 is a perfect mirror.

How a scenario is mirrored, and why:

- The goal is negated: "persuade Ada to swim" becomes "persuade Ada not to swim". Background and
  names stay.
- `settled_by` and `worsened_by` of each concern change places. They are what has to be said, and
  what must not be, *for the goal*: what takes a worry about swimming away weakens a resolve not to
  swim, and what feeds the worry is what a persuader of the negation would say. The concern's
  text stays, since no rule can put a worry into the words of its opposite: what is read from
  the text alone is the same on both sides.
- The initial attitude a becomes 8 - a. But both sides are played from the middle, 4: people of the
  corpus start low, so their mirror images would start high, near the end of the scale, and the
  probe would measure where the scale ends. For the same reason both are compared after the last
  turn before either reaches an end, if that is not the first.
- Nobody ends the dialogue: decisions are read as `continue`. Accepting and walking away
  have thresholds that differ on purpose (5.5 and 3), so one side would hear fewer turns.
  Only attitudes are compared.

The words are of three kinds: those of the recorded competent persuader, which argue for the goal;
what worsens each concern, said aloud, which argues against it; and those of the recorded poor
persuader, who argues for the goal badly. For the last a mirror need not be perfect: someone
who is talked past may like neither the goal nor its negation better for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.fidelity.probes.persona import starting_at
from experiments.fidelity.probes.scripted import Gain, Script, script_gains
from persuade_env.dialogue import MAX_ATTITUDE, MIN_ATTITUDE, NEUTRAL_ATTITUDE, Persona, Scenario
from persuade_env.protocols import UserModel
from user_models.querying import Progress

SCALE = MAX_ATTITUDE - MIN_ATTITUDE
"""Likert points from one end to the other."""
_AT_END = 0.05
"""Likert points from which an attitude is at an end of the scale."""

_NEGATIVE = re.compile(r"^(.*?)\bnot to\b", re.DOTALL)
_POSITIVE = re.compile(r"^(.*?)\bto\b", re.DOTALL)


@dataclass(frozen=True)
class NegationPair:
    """What the same words did to an attitude towards a goal, and towards its negation."""

    scenario: str
    gain: float
    mirrored: float

    @property
    def bias(self) -> float:
        """The sum of both on the 0-1 scale, -1 to 1: above 0, both were approached."""
        return (self.gain + self.mirrored) / SCALE

    @property
    def asymmetry(self) -> float:
        """How far from a mirror, 0 to 1."""
        return abs(self.bias)


def negated(goal: str) -> str:
    """A goal's negation: "persuade Ada to swim" and "persuade Ada not to swim"."""
    head = goal[: _place_of_verb(goal)]
    for pattern, replacement in ((_NEGATIVE, r"\1to"), (_POSITIVE, r"\1not to")):
        if pattern.match(head):
            return pattern.sub(replacement, head, count=1) + goal[len(head) :]
    return f"the opposite of this: {goal}"


def _place_of_verb(goal: str) -> int:
    """Where the first "to" ends: a "not to" after it is no part of the request."""
    found = re.search(r"\bto\b", goal)
    return found.end() if found else len(goal)


def mirrored(scenario: Scenario) -> Scenario:
    """The scenario with the negated goal and a mind turned round; see the module's text."""
    persona = scenario.persona
    update: dict[str, object] = {"goal": negated(scenario.goal)}
    if persona is not None:
        update["persona"] = _turned_round(persona)
    return scenario.model_copy(update=update)


def _turned_round(persona: Persona) -> Persona:
    concerns = tuple(
        one.model_copy(update={"settled_by": one.worsened_by, "worsened_by": one.settled_by})
        for one in persona.concerns
    )
    attitude = MIN_ATTITUDE + MAX_ATTITUDE - persona.initial_attitude
    return persona.model_copy(update={"concerns": concerns, "initial_attitude": attitude})


def worsening_scripts(scripts: Sequence[Script]) -> list[Script]:
    """For each script's person, what worsens each concern, said aloud, one a turn."""
    return [
        Script(
            one.scenario,
            tuple(
                f"Let me be plain: {concern.worsened_by}."
                for concern in (one.scenario.persona.concerns if one.scenario.persona else ())
            ),
        )
        for one in scripts
    ]


def negation_pairs(
    user_model: UserModel,
    scripts: Sequence[Script],
    seed: int,
    progress: Progress = lambda _: None,
) -> list[NegationPair]:
    """Plays each script for its scenario and for the mirror image, both from the middle.

    Scripts at which the user model failed on either side are left out.
    """
    straight = starting_at(scripts, NEUTRAL_ATTITUDE)
    turned = [Script(mirrored(one.scenario), one.responses) for one in straight]
    gains = script_gains(user_model, [*straight, *turned], seed, progress, to_the_end=True)
    return [
        _reflection(before, after)
        for before, after in zip(gains[: len(scripts)], gains[len(scripts) :], strict=True)
        if before.value is not None and after.value is not None
    ]


def _reflection(before: Gain, after: Gain) -> NegationPair:
    """At the last turn before either side reaches an end of the scale; at least the first."""
    turn = 0
    for place, both in enumerate(zip(before.attitudes, after.attitudes, strict=True)):
        if not all(MIN_ATTITUDE + _AT_END < one < MAX_ATTITUDE - _AT_END for one in both):
            break
        turn = place
    return NegationPair(
        before.scenario,
        before.attitudes[turn] - NEUTRAL_ATTITUDE,
        after.attitudes[turn] - NEUTRAL_ATTITUDE,
    )

"""Negation consistency: the same words with a goal and with its negation.

Words that move a user by two points towards a goal should move the same user by two points away
from its negation. A user model for which this does not hold favours whoever makes a request, or
whoever requests less. With `gain` the change of attitude towards the goal and `negated_gain` that
towards its negation,

    bias = (gain + negated_gain) / 6,    asymmetry = |bias|

on a 0-1 scale (the Likert scale is six points wide); 0 is perfectly consistent.

How a scenario is negated:

- The goal: "persuade Ada to swim" becomes "persuade Ada not to swim". Background and names stay.
- `settled_by` and `worsened_by` of each concern change places, since they are arguments for and
  against the goal. The concern's text stays, since no rule can turn it into its opposite.
- The initial attitude a becomes 8 - a. Both sides are played from the middle, 4, however: people of
  the corpus start low, so that the negated side would start near the upper end of the scale. For
  the same reason both are compared after the last turn before either reaches an end, but not before
  the first turn.
- Decisions are read as `continue`, since accepting and refusing have different thresholds (5.5
  and 3) and one side would get fewer turns. Only attitudes are compared.

There are three kinds of scripts: the recorded competent persuader's, which argues for the goal;
statements of what worsens each concern, which argue against it; and the recorded poor persuader's,
which argues for the goal badly. The last need not be consistent, since a poor argument may repel
from the goal and from its negation alike.
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
    """The change of attitude by the same words towards a goal and towards its negation.

    >>> pair = NegationPair("art-001", gain=1.5, negated_gain=-0.75)
    >>> pair.bias
    0.125
    """

    scenario: str
    gain: float
    negated_gain: float

    @property
    def bias(self) -> float:
        """The sum of both over the scale's width, -1 to 1; above 0 both goals are favoured."""
        return (self.gain + self.negated_gain) / SCALE

    @property
    def asymmetry(self) -> float:
        """The absolute bias, 0 to 1."""
        return abs(self.bias)


def negated_goal(goal: str) -> str:
    """A goal's negation.

    >>> negated_goal("persuade Ada to swim")
    'persuade Ada not to swim'
    """
    head = goal[: _end_of_first_to(goal)]
    for pattern, replacement in ((_NEGATIVE, r"\1to"), (_POSITIVE, r"\1not to")):
        if pattern.match(head):
            return pattern.sub(replacement, head, count=1) + goal[len(head) :]
    return f"the opposite of this: {goal}"


def _end_of_first_to(goal: str) -> int:
    """The index after the first "to"; a "not to" after it does not concern the request."""
    match = re.search(r"\bto\b", goal)
    return match.end() if match else len(goal)


def negated_scenario(scenario: Scenario) -> Scenario:
    """The scenario with the negated goal and persona; see the module's text."""
    persona = scenario.persona
    update: dict[str, object] = {"goal": negated_goal(scenario.goal)}
    if persona is not None:
        update["persona"] = _negated_persona(persona)
    return scenario.model_copy(update=update)


def _negated_persona(persona: Persona) -> Persona:
    concerns = tuple(
        concern.model_copy(
            update={"settled_by": concern.worsened_by, "worsened_by": concern.settled_by}
        )
        for concern in persona.concerns
    )
    attitude = MIN_ATTITUDE + MAX_ATTITUDE - persona.initial_attitude
    return persona.model_copy(update={"concerns": concerns, "initial_attitude": attitude})


def worsening_scripts(scripts: Sequence[Script]) -> list[Script]:
    """Scripts that state `worsened_by` of each concern in the scripts' scenarios, one a turn."""
    worsening = []
    for script in scripts:
        persona = script.scenario.persona
        responses = tuple(
            f"Let me be plain: {concern.worsened_by}."
            for concern in (persona.concerns if persona else ())
        )
        worsening.append(Script(script.scenario, responses))
    return worsening


def negation_pairs(
    user_model: UserModel,
    scripts: Sequence[Script],
    seed: int,
    progress: Progress = lambda _: None,
) -> list[NegationPair]:
    """Plays each script in its scenario and in the negated one, both from the neutral attitude.

    Scripts at which the user model failed on either side are left out.
    """
    original = starting_at(scripts, NEUTRAL_ATTITUDE)
    negated = [Script(negated_scenario(script.scenario), script.responses) for script in original]
    gains = script_gains(user_model, [*original, *negated], seed, progress, to_the_end=True)
    return [
        _negation_pair(gain, negated_gain)
        for gain, negated_gain in zip(gains[: len(scripts)], gains[len(scripts) :], strict=True)
        if gain.value is not None and negated_gain.value is not None
    ]


def _negation_pair(gain: Gain, negated_gain: Gain) -> NegationPair:
    """Compares both at the last turn before either reaches an end of the scale, or the first."""
    last_turn = 0
    for turn, attitudes in enumerate(zip(gain.attitudes, negated_gain.attitudes, strict=True)):
        if not all(
            MIN_ATTITUDE + _AT_END < attitude < MAX_ATTITUDE - _AT_END for attitude in attitudes
        ):
            break
        last_turn = turn
    return NegationPair(
        gain.scenario,
        gain.attitudes[last_turn] - NEUTRAL_ATTITUDE,
        negated_gain.attitudes[last_turn] - NEUTRAL_ATTITUDE,
    )

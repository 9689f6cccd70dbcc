"""Rule-based filter of harmful persuasion goals; scenarios with such a goal are refused at load.

The patterns are in `forbidden_goal_patterns`. A goal *against* the harm ("persuade him not to send
the money", "to stop betting") is allowed. The filter guards against accidents; it does not stop
somebody who rewords a goal on purpose.
"""

from __future__ import annotations

import re

from persuade_env.dialogue import Scenario
from persuade_env.safety.forbidden_goal_patterns import AGAINST, AREAS, HARM_IN_NOT
from persuade_env.text.normalize import normalize_quotes


def forbidden_reason(scenario: Scenario) -> str | None:
    """Why a scenario's goal is refused, or None where it is allowed.

    >>> scenario = Scenario(id="x", domain="Finance", background="A call.", persuader="A",
    ...     persuadee="B", goal="persuade B to tell A the password of her bank")
    >>> forbidden_reason(scenario)
    'fraud or theft of secrets'
    """
    goal, background = normalize_quotes(scenario.goal), normalize_quotes(scenario.background)
    for area in AREAS:
        match = area.goal.search(goal)
        if match is None or _is_negated(goal, match, area.reason):
            continue
        if area.background and not area.background.search(f"{background} {goal}"):
            continue
        return area.reason
    return None


def _is_negated(goal: str, match: re.Match[str], reason: str) -> bool:
    """Whether the goal is against the matched harm: a "not" or "stop" stands before it."""
    before = goal[: match.start()]
    if reason in HARM_IN_NOT and re.search(r"\b(?:not|stop|refuse)\b", match[0], re.IGNORECASE):
        return bool(re.search(r"\b(?:not|never) to\s*$", before, re.IGNORECASE))
    return bool(AGAINST.search(before))

"""Goals that nobody should be trained to talk a person into; such a scenario is refused at load.

The wordings are in `forbidden_patterns`. A goal *against* the harm ("persuade him not to send the
money", "to stop betting") is allowed. This is a fence against accident and carelessness; somebody
who words a goal so as to get past it gets past it.
"""

from __future__ import annotations

import re

from persuade_env.dialogue import Scenario
from persuade_env.safety.forbidden_goal_patterns import AGAINST, AREAS, HARM_IN_NOT


def forbidden(scenario: Scenario) -> str | None:
    """Why a scenario's goal is refused, or None where it is allowed.

    >>> one = Scenario(id="x", domain="Finance", background="A call.", persuader="A",
    ...     persuadee="B", goal="persuade B to tell A the password of her bank")
    >>> forbidden(one)
    'fraud or theft of secrets'
    """
    goal = scenario.goal.replace("’", "'")
    for area in AREAS:
        match = area.goal.search(goal)
        if match is None or _turned_away(goal, match, area.reason):
            continue
        if area.background and not area.background.search(f"{scenario.background} {goal}"):
            continue
        return area.reason
    return None


def _turned_away(goal: str, match: re.Match[str], reason: str) -> bool:
    """Whether the goal is against what was found: a "not" or "stop" stands before it."""
    before = goal[: match.start()]
    if reason in HARM_IN_NOT and re.search(r"\b(?:not|stop|refuse)\b", match[0], re.IGNORECASE):
        return bool(re.search(r"\b(?:not|never) to\s*$", before, re.IGNORECASE))
    return bool(AGAINST.search(before))

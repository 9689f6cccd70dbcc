"""The best that any choice of strategies could have earned in an episode: an upper bound.

User models are functions of the dialogue, so an episode can be tried out before it is played.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from persuade_env.episode import Episode

Step = Callable[[Episode, int], Episode]
"""An episode one action on, the given one unchanged: `StrategyPersuasionEnv.after`."""


@dataclass(frozen=True)
class Plan:
    """The actions from here to the end of an episode, and their total reward."""

    actions: tuple[int, ...]
    reward: float


def best_plan(episode: Episode, step: Step, n_actions: int) -> Plan:
    """The plan with the highest return, knowing how the user will answer and decide.

    At each turn it tries all actions, and goes on with those that raise the attitude and with
    the best of the rest (the first of equals). With `concerns` that is exact: a turn that raises
    nothing only costs, whatever it is, and leaves the same concerns open.

    Args:
        episode: not done.
        step: plays one action.
        n_actions: actions are 0 to n_actions - 1.
    """
    before = episode.dialogue.attitude
    tried = [(action, step(episode, action)) for action in range(n_actions)]
    rising = [(action, after) for action, after in tried if after.dialogue.attitude > before]
    rest = [(action, after) for action, after in tried if after.dialogue.attitude <= before]
    kept = list(rising)
    if rest:
        kept.append(max(rest, key=lambda one: (one[1].reward, -one[0])))
    best = Plan((), float("-inf"))
    for action, after in kept:
        if after.done:
            plan = Plan((action,), after.reward)
        else:
            further = best_plan(after, step, n_actions)
            plan = Plan((action, *further.actions), after.reward + further.reward)
        if plan.reward > best.reward:
            best = plan
    return best

"""How a dialogue is put to a language model that plays the persuader.

Training and sampling both render through here.
"""

from __future__ import annotations

from persuade_env.action_format import render_turn
from persuade_env.dialogue import Dialogue, PersuaderTurn, Scenario
from persuade_env.protocols import Message
from persuade_env.text.normalize import one_line

OPENING = "(You speak first.)"
"""Stands for the persuadee where nothing has been said yet."""


def persuader_messages(dialogue: Dialogue) -> list[Message]:
    """The dialogue as the chat that the persuader continues: it is the assistant.

    Args:
        dialogue: the persuader's view; a persona in it would not be rendered anyway.
    """
    scenario = dialogue.scenario
    task = (
        f"Think about what {scenario.persuadee} needs, choose a strategy, then speak. Write:\n"
        "Analysis: ...\nStrategy: ...\nResponse: ..."
    )
    messages: list[Message] = [{"role": "system", "content": _instructions(scenario, task)}]
    if not dialogue.turns or isinstance(dialogue.turns[0], PersuaderTurn):
        messages.append({"role": "user", "content": OPENING})
    for turn in dialogue.turns:
        if not isinstance(turn, PersuaderTurn):
            messages.append({"role": "user", "content": one_line(turn.response)})
        elif turn.analysis:
            messages.append({"role": "assistant", "content": render_turn(turn)})
        else:
            content = f"Response: {one_line(turn.response)}"
            messages.append({"role": "assistant", "content": content})
    return messages


def spoken_messages(dialogue: Dialogue) -> list[Message]:
    """The same chat for a persuader that just speaks."""
    scenario = dialogue.scenario
    task = f"Say one or two sentences to {scenario.persuadee}, and nothing else."
    messages: list[Message] = [{"role": "system", "content": _instructions(scenario, task)}]
    if not dialogue.turns or isinstance(dialogue.turns[0], PersuaderTurn):
        messages.append({"role": "user", "content": OPENING})
    for turn in dialogue.turns:
        role = "assistant" if isinstance(turn, PersuaderTurn) else "user"
        messages.append({"role": role, "content": one_line(turn.response)})
    return messages


def _instructions(scenario: Scenario, task: str) -> str:
    lines = [
        f"You are {scenario.persuader}, talking with {scenario.persuadee}.",
        one_line(scenario.background),
        f"Your goal: {one_line(scenario.goal)}.",
    ]
    if scenario.facts:
        lines.append("Facts: " + " ".join(one_line(fact) for fact in scenario.facts))
    if scenario.strategies:
        lines.append("Strategies: " + "; ".join(scenario.strategies) + ".")
    return "\n".join([*lines, task])

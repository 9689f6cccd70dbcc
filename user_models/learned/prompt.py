"""The prompts of the learned user: what its encoder reads and what its chat model continues."""

from __future__ import annotations

from persuade_env.dialogue import Dialogue, PersuaderTurn, Scenario
from persuade_env.protocols import Message
from persuade_env.text.normalize import one_line
from user_models.reply_format import EMPTY_RESPONSE, attitude_digit, render_reply

MAX_RESPONSE_BYTES = 1200
"""Bytes of a persuader's response that are read, some 200 words. A longer one must not push
everything else out of a model's context."""


def clean_response(response: str) -> str:
    r"""A persuader's response on one line, cut to `MAX_RESPONSE_BYTES`.

    >>> clean_response("Two\nlines.")
    'Two lines.'
    >>> clean_response("")
    '(says nothing)'
    """
    text = one_line(response).encode()[:MAX_RESPONSE_BYTES].decode(errors="ignore")
    return text or EMPTY_RESPONSE


def situation(scenario: Scenario) -> list[str]:
    """The first lines of every system prompt: roles, background, goal, traits and stubbornness."""
    lines = [
        f"You are {scenario.persuadee}, talking with {scenario.persuader}.",
        one_line(scenario.background),
        f"{scenario.persuader}'s aim: {one_line(scenario.goal)}.",
    ]
    if persona := scenario.persona:
        lines.append(f"You are {', '.join(persona.traits)}. Stubborn: {persona.stubbornness:.1f}.")
    return lines


def encoder_messages(dialogue: Dialogue) -> list[Message]:
    """The dialogue as the encoder reads it.

    It holds persona, concerns and words, and no attitude, decision or tone of an earlier turn: a
    dialogue that went well must not raise the attitude by itself.
    """
    scenario = dialogue.scenario
    lines = situation(scenario)
    if persona := scenario.persona:
        lines += [
            f"You worry: {one_line(concern.text)} It would help: {one_line(concern.settled_by)}. "
            f"It would hurt: {one_line(concern.worsened_by)}."
            for concern in persona.concerns
        ]
    messages: list[Message] = [{"role": "system", "content": "\n".join(lines)}]
    for turn in dialogue.turns:
        role = "user" if isinstance(turn, PersuaderTurn) else "assistant"
        messages.append({"role": role, "content": clean_response(turn.response)})
    return messages


def user_messages(dialogue: Dialogue) -> list[Message]:
    """The dialogue as the chat that the learned user continues; the persuadee is the assistant.

    Training and sampling both render through here. The persuader's analysis and strategy
    are left out.
    """
    scenario = dialogue.scenario
    lines = situation(scenario)
    if persona := scenario.persona:
        lines += [
            f"You worry: {one_line(concern.text)} It would help: {one_line(concern.settled_by)}"
            for concern in persona.concerns
        ]
    lines.append(
        f"Your agreement is {attitude_digit(scenario.initial_attitude)} of 7. Reply with your "
        f"agreement (1-7), continue, accept or refuse, your tone, then your words."
    )
    messages: list[Message] = [{"role": "system", "content": "\n".join(lines)}]
    if dialogue.turns and dialogue.turns[0].role == "persuadee":
        messages.append({"role": "user", "content": EMPTY_RESPONSE})
    for turn in dialogue.turns:
        if isinstance(turn, PersuaderTurn):
            messages.append({"role": "user", "content": clean_response(turn.response)})
        else:
            messages.append({"role": "assistant", "content": render_reply(turn)})
    return messages

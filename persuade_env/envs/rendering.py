"""A dialogue as text for a terminal."""

from __future__ import annotations

import textwrap

from persuade_env.dialogue import PersuadeeTurn
from persuade_env.envs.core import speakers
from persuade_env.episode import Episode
from persuade_env.text.normalize import one_line, printable

_WIDTH = 88


def render_ansi(episode: Episode) -> str:
    """The scenario in a line, each turn with its speaker and state, and how it ended.

    Control characters in what was said are shown as `?`, so that text can't drive the terminal.
    """
    scenario = episode.scenario
    lines = [
        f"[{scenario.domain}] {scenario.goal}",
        f"{scenario.persuadee} starts at attitude {scenario.initial_attitude:.1f} of 7",
    ]
    names = speakers(scenario)
    for turn in episode.dialogue.turns:
        name = names[turn.role]
        text = one_line(turn.response) or "(says nothing)"
        if isinstance(turn, PersuadeeTurn):
            state = "" if turn.attitude is None else f"{turn.attitude:.1f} "
            name = f"{name} ({state}{turn.tone})"
        lines.append(textwrap.fill(f"{name}: {text}", _WIDTH, subsequent_indent="    "))
    if episode.done:
        lines.append(f"-- {episode.stop.value}" + (f": {episode.error_kind}" * (not episode.valid)))
    return printable("\n".join(lines))

"""Played dialogues for people to read: drawn by a seed, not chosen, and written as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from persuade_env.dialogue import PersuadeeTurn
from persuade_env.envs.core import speakers
from persuade_env.episode import Episode, EpisodeStop
from persuade_env.seeding import derive_seed, generator
from persuade_env.text.normalize import one_line

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
_ENDS = {
    EpisodeStop.NONE: "still under way",
    EpisodeStop.ACCEPTED: "accepted",
    EpisodeStop.REFUSED: "refused",
    EpisodeStop.MAX_TURNS: "undecided",
    EpisodeStop.ERROR: "invalid",
}


def draw_dialogues(episodes: Sequence[Episode], count: int, seed: int) -> list[Episode]:
    """Some of the valid dialogues, drawn without replacement, in the order in which they stood.

    Args:
        episodes: of one pair.
        count: how many; all valid ones where there are fewer.
        seed: the same one draws the same places, for every pair that played as many dialogues.
    """
    valid = [episode for episode in episodes if episode.valid]
    order = generator(derive_seed(seed, "samples")).permutation(len(valid))[:count]
    return [valid[index] for index in sorted(order)]


def dialogues_markdown(agent: str, user_model: str, episodes: Sequence[Episode]) -> str:
    """The dialogues as sections of a document: situation, turns, attitudes, how each ended.

    What models wrote is escaped, so that it can't become a heading, a link or HTML.
    """
    sections = []
    for number, episode in enumerate(episodes, start=1):
        scenario = episode.scenario
        names = speakers(scenario)
        lines = [
            f"#### {number}. `{scenario.id}`: {_escaped(agent)} with {_escaped(user_model)}",
            f"{_escaped(scenario.background)} {_escaped(scenario.goal)}",
        ]
        for turn in episode.dialogue.turns:
            state = ""
            if isinstance(turn, PersuadeeTurn):
                attitude = "" if turn.attitude is None else f"{turn.attitude:.1f}"
                known = ", ".join(part for part in (attitude, _escaped(turn.tone)) if part)
                state = f" ({known})" if known else ""
            words = _escaped(turn.response) or "(says nothing)"
            lines.append(f"**{_escaped(names[turn.role])}**{state}: {words}")
        lines.append(
            f"*{_ENDS[episode.stop]} after {episode.turn} turns; attitude "
            f"{scenario.initial_attitude:.1f} at the start, {episode.dialogue.attitude:.1f} at the "
            "end*"
        )
        sections.append("\n\n".join(lines) + "\n")
    return "\n".join(sections)


def _escaped(text: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text)
    return _SPECIAL.sub(r"\\\1", one_line(printable))

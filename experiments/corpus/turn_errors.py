"""Errors that a turn can be told from: repeating, mixing up the names, falling out of the role.

Each is a rule on the words, so it can be counted in a corpus as well as in a model's turns; what
the rule finds in recorded dialogues is its rate of false alarms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from persuade_env.dialogue import TONES, Decision

REPEATED_SHARE = 0.5
"""Share of a turn's word pairs in one earlier turn from which it repeats that turn."""
MIN_WORDS = 8
"""A shorter turn ("Thank you, I'll think about it.") repeats only what has the very same words."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_INTRODUCTION = re.compile(
    r"\b(?:I'm|I am|(?:my )?name is|(?:my )?name's|this is|it's|it is|call me|called)\s*$",
    re.IGNORECASE,
)
_QUOTATION = re.compile(r'"[^"]*"|“[^”]*”')
_LABEL_START = r"(?:^|[\n.!?…\"”])\s*\**"
_FIELD = re.compile(rf"{_LABEL_START}(?:Analysis|Strategy|Response)\**\s*:")
_DECISIONS = "|".join(decision.value for decision in Decision)
_STATE = re.compile(
    rf"^\s*[1-7](?:\.\d+)? (?:{_DECISIONS})\b"
    rf"|\b[1-7](?:\.\d+)? (?:{_DECISIONS}) (?:{'|'.join(TONES)})\b"
)
_ROLES = ("persuader", "persuadee", "user", "assistant", "system")


def is_repeated(text: str, earlier: Iterable[str]) -> bool:
    """Whether a turn nearly copies an earlier turn of its dialogue, of either side.

    It does if half of its distinct word pairs or more stand in one earlier turn; a turn of fewer
    than `MIN_WORDS` words, if an earlier one has the same words. Silence repeats nothing.

    >>> is_repeated("You can borrow my second tent for free.", ["Borrow my second tent for free."])
    True
    >>> is_repeated("I'd need a tent.", ["You can borrow my second tent for free."])
    False
    """
    words = _words(text)
    if len(words) < MIN_WORDS:
        return bool(words) and any(words == _words(other) for other in earlier)
    pairs = _pairs(words)
    return any(
        len(pairs & _pairs(_words(other))) >= REPEATED_SHARE * len(pairs) for other in earlier
    )


def names_itself(text: str, name: str) -> bool:
    """Whether a turn has its speaker's own name where it should have the other's, or "I".

    It does wherever the name stands, unless it is introduced ("I'm Ana", "my name is Ana") or
    quoted in quotation marks. Case matters, and only the whole name counts.

    >>> names_itself("Ana, you could borrow a tent.", "Ana")
    True
    >>> names_itself("Hello, I'm Ana from next door.", "Ana")
    False
    """
    if not name.strip():
        return False
    spoken = _QUOTATION.sub(" ", text.replace("’", "'"))
    own = re.escape(name.replace("’", "'"))
    return any(
        not _INTRODUCTION.search(spoken[: found.start()])
        for found in re.finditer(rf"(?<!\w){own}(?!\w)", spoken)
    )


def leaves_role(text: str, names: Iterable[str] = ()) -> bool:
    """Whether a turn has in it what only a model's prompt and format have, or another's turn.

    That is a field of the persuader's format ("Strategy:"), a line of the persuadee's state
    ("3 continue wary"), or a speaker's label ("Bo:", "Assistant:") at the start of a sentence.

    >>> leaves_role("That's kind. Strategy: Offer a tent", ("Ana", "Bo"))
    True
    >>> leaves_role("That's kind. Bo: I can't come.", ("Ana", "Bo"))
    True
    >>> leaves_role("There are two reasons: the tent and the dog.", ("Ana", "Bo"))
    False

    Args:
        text: what was said.
        names: of the persuader and the persuadee.
    """
    if _FIELD.search(text) or _STATE.search(text):
        return True
    known = [re.escape(name) for name in names if name.strip()]
    labels = "|".join([*known, *(rf"(?i:{role})" for role in _ROLES)])
    return re.search(rf"{_LABEL_START}(?:{labels})\**\s*:", text) is not None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("’", "'"))


def _pairs(words: list[str]) -> set[tuple[str, str]]:
    return set(pairwise(words))

"""The intent-to-strategy format of a persuader turn, written and parsed here and nowhere else.

A turn reasons first, then chooses, then speaks (Jin et al., ACL 2024, section 4)::

    Analysis: She fears the cost, so the free trial comes first.
    Strategy: Offer a free trial
    Response: You could come along on Thursday without paying anything.
"""

from __future__ import annotations

import re

from persuade_env.dialogue import PersuaderTurn
from persuade_env.errors import MalformedTurnError

_FIELDS = ("Analysis", "Strategy", "Response")
_MARKER = re.compile(r"^[ \t]*(Analysis|Strategy|Response)[ \t]*:[ \t]*", re.MULTILINE)


def one_line(text: str) -> str:
    """The text with every run of white space, line breaks included, as one space."""
    # Most texts are so already, and that is quicker to see than to make: of all white space only
    # the space itself is printable.
    if text.isprintable() and "  " not in text and text == text.strip():
        return text
    return " ".join(text.split())


def whole_sentences(words: str) -> str:
    """What was said before a token limit cut a sentence off; all of it if there is no end."""
    end = max(words.rfind(mark) for mark in ".?!")
    return words[: end + 1] if end > 0 else words


def render_turn(turn: PersuaderTurn) -> str:
    """The turn as a model should write it; `parse_turn` reads it back."""
    return (
        f"Analysis: {one_line(turn.analysis)}\n"
        f"Strategy: {one_line(turn.strategy)}\n"
        f"Response: {one_line(turn.response)}"
    )


def parse_turn(text: str) -> PersuaderTurn:
    """The turn that a model wrote in the format.

    Raises:
        MalformedTurnError: unless each of the three fields occurs exactly once, in
            order, none of them empty, with nothing before the first.
    """
    markers = list(_MARKER.finditer(text))
    names = tuple(marker.group(1) for marker in markers)
    if names != _FIELDS or text[: markers[0].start()].strip():
        raise MalformedTurnError(
            f"expected the fields {', '.join(_FIELDS)} once each, in this order; "
            f"found {', '.join(names) or 'none'}"
        )
    ends = [*(marker.start() for marker in markers[1:]), len(text)]
    values = [one_line(text[marker.end() : end]) for marker, end in zip(markers, ends, strict=True)]
    for name, value in zip(_FIELDS, values, strict=True):
        if not value:
            raise MalformedTurnError(f"the field {name} is empty")
    return PersuaderTurn(analysis=values[0], strategy=values[1], response=values[2])


def read_action(text: str) -> tuple[PersuaderTurn, bool]:
    """What an environment makes of an action: a turn, and whether it was malformed.

    Text without any of the three markers is plain speech: all of it is the response.
    Text that attempts the format and fails is malformed; what stands after its last
    `Response:` is said, and where there is none nothing is, so that private
    reasoning never reaches the user.
    """
    if ":" not in text or not _MARKER.search(text):  # the first is quick to see
        return PersuaderTurn(response=one_line(text)), False
    try:
        return parse_turn(text), False
    except MalformedTurnError:
        spoken = [m for m in _MARKER.finditer(text) if m.group(1) == "Response"]
        if not spoken:
            return PersuaderTurn(response=""), True
        rest = text[spoken[-1].end() :]
        following = _MARKER.search(rest)
        return PersuaderTurn(
            response=one_line(rest[: following.start()] if following else rest)
        ), True

"""Renders and parses the text of a persuader turn in the intent-to-strategy format.

A turn gives its reasoning, then the chosen strategy, then what is said to the user (Jin et al.,
"Persuading across Diverse Domains: A Dataset and Persuasion Large Language Model", ACL 2024,
section 4):

    Analysis: She fears the cost, so the free trial comes first.
    Strategy: Offer a free trial
    Response: You could come along on Thursday without paying anything.

No other module knows the format.
"""

from __future__ import annotations

import re

from persuade_env.dialogue import PersuaderTurn
from persuade_env.errors import MalformedTurnError
from persuade_env.text.normalize import one_line, replace_surrogates

_FIELDS = ("Analysis", "Strategy", "Response")
_MARKER = re.compile(r"^[ \t]*(Analysis|Strategy|Response)[ \t]*:[ \t]*", re.MULTILINE)


def render_turn(turn: PersuaderTurn) -> str:
    """The turn as text in the format; the inverse of `parse_turn`.

    >>> print(render_turn(PersuaderTurn(analysis="He is busy.", strategy="Wait", response="Hi.")))
    Analysis: He is busy.
    Strategy: Wait
    Response: Hi.
    """
    return (
        f"Analysis: {one_line(turn.analysis)}\n"
        f"Strategy: {one_line(turn.strategy)}\n"
        f"Response: {one_line(turn.response)}"
    )


def parse_turn(text: str) -> PersuaderTurn:
    r"""Parses a text in the format, and accepts nothing else.

    >>> parse_turn("Analysis: He is busy.\nStrategy: Wait\nResponse: Hi.").response
    'Hi.'

    Raises:
        MalformedTurnError: unless each of the three fields occurs exactly once, in
            order, none of them empty, with nothing before the first.
    """
    text = replace_surrogates(text)
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
    r"""Parses an environment's action leniently, and never leaks reasoning into the response.

    Text without any of the three markers is plain speech: all of it is the response. In text
    that attempts the format and fails, only what stands after the last `Response:` is the
    response, which is empty where there is none: private reasoning never reaches the user.

    >>> read_action("Come along.")[0].response
    'Come along.'
    >>> turn, malformed = read_action("Analysis: He is weak.")
    >>> turn.response, malformed
    ('', True)

    Returns:
        The turn, and whether the text was malformed.
    """
    text = replace_surrogates(text)
    if ":" not in text or not _MARKER.search(text):  # the first test is cheap
        return PersuaderTurn(response=one_line(text)), False
    try:
        return parse_turn(text), False
    except MalformedTurnError:
        responses = [marker for marker in _MARKER.finditer(text) if marker.group(1) == "Response"]
        if not responses:
            return PersuaderTurn(response=""), True
        rest = text[responses[-1].end() :]
        following = _MARKER.search(rest)
        return PersuaderTurn(
            response=one_line(rest[: following.start()] if following else rest)
        ), True

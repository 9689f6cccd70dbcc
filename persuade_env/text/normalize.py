"""Normalization of text: white space, quotation marks, sentences that a token limit cut off.

Pure functions of a string, without a model and without a dependency.
"""

from __future__ import annotations

import re
import unicodedata

_SURROGATES = re.compile("[\ud800-\udfff]")


def one_line(text: str) -> str:
    r"""The text with every run of white space, line breaks included, as one space.

    >>> one_line(" Come along,\n  Bo. ")
    'Come along, Bo.'
    """
    # A fast path, because most texts are one line already: of all white space only the space
    # itself is printable.
    if text.isprintable() and "  " not in text and text == text.strip():
        return text
    return " ".join(text.split())


def whole_sentences(text: str) -> str:
    """The text up to its last end of a sentence; all of it where there is none.

    For a reply that a token limit cut off in the middle of a sentence.

    >>> whole_sentences("I have a tent. You could bor")
    'I have a tent.'
    >>> whole_sentences("You could bor")
    'You could bor'
    """
    end = max(text.rfind(mark) for mark in ".?!")
    return text[: end + 1] if end > 0 else text


def normalize_quotes(text: str) -> str:
    r"""The text with straight quotation marks and single spaces, and nothing hidden.

    >>> normalize_quotes("It’s  f\u200bine.")
    "It's fine."
    """
    return " ".join(visible(text).replace("’", "'").replace("‘", "'").split())


def text_lines(text: str) -> list[str]:
    r"""The lines of a text file, for JSON Lines: only line feeds end them.

    `str.splitlines` also cuts at U+2028, U+2029 and U+0085, which JSON allows inside a string.

    >>> text_lines("a\u2028b\r\nc\n")
    ['a\u2028b', 'c']
    """
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def visible(text: str) -> str:
    r"""The text without format and control characters; line breaks and tabs are kept.

    Zero-width joiners, bidirectional overrides and tags can hide a word from a pattern or a reader.

    >>> visible("pass\u200bword")
    'password'
    """
    if text.isprintable():
        return text
    return "".join(
        char
        for char in text
        if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs")
    )


def printable(text: str) -> str:
    r"""The text with `?` for each character that could drive a terminal or hide or turn text.

    Control characters, bidirectional overrides, zero-width ones; line breaks are kept.

    >>> printable("Fine.\x1b[2J\u202e")
    'Fine.?[2J?'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)


def replace_surrogates(text: str) -> str:
    r"""The text with U+FFFD for each half of a surrogate pair, which no encoding can write.

    >>> replace_surrogates("Fine \ud83d").encode()
    b'Fine \xef\xbf\xbd'
    """
    return _SURROGATES.sub("\ufffd", text)


def without_speaker(text: str, name: str) -> str:
    """The text without the speaker's name and a colon before it, which chat models like to write.

    >>> without_speaker("Bo: I don't know.", "Bo")
    "I don't know."
    """
    return re.sub(rf"^\s*\**{re.escape(name)}\**\s*:\**\s*", "", text, flags=re.IGNORECASE)

"""What in a text could be looked up: numbers, names and sources, and the words that carry it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import combinations

from persuade_env.text.normalize import normalize_quotes

_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = (
    "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth",
    "thirteenth", "fourteenth", "fifteenth",
)  # fmt: skip
_VALUES = (
    {word: value for value, word in enumerate(_UNITS)}
    | {word: 20 + 10 * number for number, word in enumerate(_TENS)}
    | {"dozen": 12, "dozens": 12}
    | {word: value for value, word in enumerate(_ORDINALS, start=4)}
)
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_DIGITS = re.compile(r"\d+(?:[.,:]\d+)*")
_TOKENS = re.compile(r"\d+(?:[.,:]\d+)*|[a-z]+", re.IGNORECASE)
_SHORT_YEAR = re.compile(r"'([2-9]\d)\b")
_SMALL = 3
"""Number words up to this are more often a manner of speaking than a figure."""

_EXACT_UP_TO = 20.0
_ROUNDED = 0.02
"""Larger figures may be rounded by this share."""

_CLOCK = re.compile(
    r"\b(?:(?:half|quarter|twenty|ten|five) (?:past|to)|at|by|till|until|before|after) "
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b"
    r"(?!-| (?:hundred|thousand|million|per|euros?|dollars?|pounds?|cents?|minutes?|hours?|days?|"
    r"weeks?|months?|years?|metres?|kilometres?|people))",
    re.IGNORECASE,
)
"""A time of day in words: mostly when two people will meet."""

_NAME = re.compile(r"(?<![.!?…:\"“] )(?<!^)(?<![\"“(])\b[A-Z][a-zà-ÿ]{2,}(?:[’'-][A-Z][a-zà-ÿ]+)*")
_NO_NAMES = frozenset((
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january",
    "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december", "christmas", "easter", "sundays", "mondays", "tuesdays",
    "wednesdays", "thursdays", "fridays", "saturdays", "mum", "mom", "mama", "papa", "dad",
    "daddy", "god", "grandma", "grandpa", "gran", "aunt", "uncle", "mister", "madam", "mrs",
    "miss", "sir", "lord", "english", "french", "german", "internet", "yes", "but", "and",
    "the", "then", "that", "this", "you", "your", "just", "come", "please",
))  # fmt: skip

_STOP = frozenset((
    "a", "about", "after", "again", "all", "also", "always", "am", "an", "and", "any",
    "anybody", "anyone", "anything", "are", "as", "at", "back", "be", "because", "been",
    "before", "being", "but", "by", "can", "can't", "come", "could", "did", "didn't", "do",
    "does", "doesn't", "doing", "don't", "done", "down", "each", "even", "ever", "every",
    "everybody", "everyone", "everything", "for", "from", "get", "give", "go", "goes", "going",
    "gone", "got", "had", "has", "hasn't", "have", "haven't", "having", "he", "he'd", "he's",
    "her", "here", "him", "his", "how", "i", "i'd", "i'll", "i'm", "i've", "if", "in", "into",
    "is", "isn't", "it", "it's", "its", "just", "let", "let's", "like", "little", "look",
    "made", "make", "many", "may", "me", "might", "mine", "more", "most", "much", "must", "my",
    "myself", "need", "never", "no", "nobody", "none", "not", "nothing", "now", "of", "off",
    "on", "once", "one", "only", "or", "other", "our", "out", "over", "own", "persuade",
    "please", "put", "really", "right", "said", "same", "say", "see", "she", "she's", "should",
    "so", "some", "somebody", "someone", "something", "still", "such", "sure", "take", "than",
    "that", "that's", "the", "their", "them", "then", "there", "there's", "these", "they",
    "they'd", "they're", "thing", "things", "think", "this", "those", "though", "time", "to",
    "too", "try", "two", "under", "until", "up", "us", "very", "want", "was", "wasn't", "way",
    "we", "we'd", "we'll", "we're", "well", "were", "what", "what's", "when", "where", "which",
    "while", "who", "whole", "why", "will", "with", "without", "won't", "would", "yes", "yet",
    "you", "you'd", "you'll", "you're", "you've", "your", "yours",
))  # fmt: skip
_WORD = re.compile(r"[a-zà-ÿ]+(?:'[a-z]+)?", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?…])[\"”']?\s+")


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with its own end mark."""
    return [one for one in _SENTENCE.split(normalize_quotes(text)) if one]


@lru_cache(maxsize=4096)
def content_words(text: str) -> frozenset[str]:
    """Roughly stemmed words that carry content."""
    words = (word.lower() for word in _WORD.findall(normalize_quotes(text)))
    return frozenset(_stem(word.removesuffix("'s")) for word in words if word not in _STOP)


def _stem(word: str) -> str:
    for ending in ("ings", "ing", "edly", "ed", "ies", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word


@lru_cache(maxsize=4096)
def numbers(text: str, smallest_word: int = 0) -> frozenset[float]:
    """The values of all numbers, written in digits or in words ("four hundred and ten").

    Args:
        smallest_word: values in words below it are left out.
    """
    found: set[float] = set()
    total: float = 0
    current: float = 0
    open_ = False

    def close() -> None:
        nonlocal total, current, open_
        if open_ and total + current >= smallest_word:
            found.add(total + current)
        total, current, open_ = 0, 0, False

    for match in _TOKENS.finditer(_SHORT_YEAR.sub(r"19\1", normalize_quotes(text))):
        token = match[0].lower()
        if token[0].isdigit():
            close()
            found |= _digits(token)
        elif token in _VALUES:
            value = _VALUES[token]
            # "twenty-three" adds up, "two, three" doesn't.
            if open_ and not (current % 100 == 0 or (current % 10 == 0 and value < 10)):
                close()
            current += value
            open_ = True
        elif token in _SCALES and open_:
            current *= _SCALES[token]
            if _SCALES[token] > 100:
                total, current = total + current, 0
        elif token != "and":
            close()
    close()
    return frozenset(found)


def _digits(token: str) -> set[float]:
    if ":" in token:
        return {float(part) for part in token.split(":") if part.isdigit()}
    if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", token):
        return {float(re.sub("[.,]", "", token))}
    try:
        return {float(token.replace(",", "."))}
    except ValueError:
        return {float(part) for part in re.split("[.,]", token) if part}


def is_derivable(value: float, known: Iterable[float]) -> bool:
    """Whether a number is one of the held ones, nearly so, or their sum, difference or product.

    A persuader who reckons with held numbers invents nothing: "six points short of the pass".
    """
    known = {*known}
    slack = _ROUNDED if value > _EXACT_UP_TO else 0.0  # "nearly four thousand"
    if any(abs(value - one) <= slack * value for one in known):
        return True
    reckoned = {one * by for one in known for by in (2, 12, 52)} | {one / 2 for one in known}
    for a, b in combinations(known, 2):
        reckoned |= {a + b, abs(a - b), a * b}
    return any(abs(value - one) < 1e-6 for one in reckoned)


def new_numbers(sentence: str, known: frozenset[float]) -> set[float]:
    """Figures of a sentence that neither are held nor follow from what is."""
    spoken = _CLOCK.sub(" ", sentence)
    return {one for one in numbers(spoken, _SMALL + 1) if not is_derivable(one, known)}


def new_names(sentence: str, known: frozenset[str]) -> set[str]:
    """Capitalized words inside a sentence that the known words don't contain.

    Args:
        known: words in lower case.
    """
    return {
        name
        for name in _NAME.findall(normalize_quotes(sentence))
        if name.lower() not in _NO_NAMES and name.lower() not in known
    }


def words(text: str) -> frozenset[str]:
    """All words in lower case, without `'s`."""
    return frozenset(w.lower().removesuffix("'s") for w in _WORD.findall(normalize_quotes(text)))

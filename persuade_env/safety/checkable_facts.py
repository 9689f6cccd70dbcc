"""Extracts checkable facts from text: numbers in digits or words, names, and content words.

The misconduct detector compares them with the facts of the scenario and the dialogue.
"""

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
_IDIOMATIC_UP_TO = 3
"""Number words up to this are more often idioms ("one or two") than figures."""

_EXACT_UP_TO = 20.0
_ROUNDING_TOLERANCE = 0.02
"""Relative deviation by which figures above `_EXACT_UP_TO` may be rounded."""

_CLOCK = re.compile(
    r"\b(?:(?:half|quarter|twenty|ten|five) (?:past|to)|at|by|till|until|before|after) "
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b"
    r"(?!-| (?:hundred|thousand|million|per|euros?|dollars?|pounds?|cents?|minutes?|hours?|days?|"
    r"weeks?|months?|years?|metres?|kilometres?|people))",
    re.IGNORECASE,
)
"""A time of day in words, which mostly proposes a meeting and claims nothing."""

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
    """The sentences of a text, each with its end mark.

    >>> sentences("Come along. It’s free!")
    ['Come along.', "It's free!"]
    """
    return [sentence for sentence in _SENTENCE.split(normalize_quotes(text)) if sentence]


@lru_cache(maxsize=4096)
def content_words(text: str) -> frozenset[str]:
    """The words of a text without stop words, in lower case and roughly stemmed.

    >>> sorted(content_words("She lends us the tents."))
    ['lend', 'tent']
    """
    words = (word.lower() for word in _WORD.findall(normalize_quotes(text)))
    return frozenset(_stem(word.removesuffix("'s")) for word in words if word not in _STOP)


def _stem(word: str) -> str:
    for ending in ("ings", "ing", "edly", "ed", "ies", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word


@lru_cache(maxsize=4096)
def numbers(text: str, smallest_word: int = 0) -> frozenset[float]:
    """The values of all numbers in a text, written in digits or in words.

    >>> sorted(numbers("four hundred and ten of 1,200"))
    [410, 1200.0]

    Args:
        text: any text.
        smallest_word: numbers in words with a smaller value are left out.
    """
    values: set[float] = set()
    total: float = 0
    current: float = 0
    in_number = False

    def close() -> None:
        nonlocal total, current, in_number
        if in_number and total + current >= smallest_word:
            values.add(total + current)
        total, current, in_number = 0, 0, False

    for match in _TOKENS.finditer(_SHORT_YEAR.sub(r"19\1", normalize_quotes(text))):
        token = match[0].lower()
        if token[0].isdigit():
            close()
            values |= _digits(token)
        elif token in _VALUES:
            value = _VALUES[token]
            # "twenty-three" adds up, "two, three" doesn't.
            if in_number and not (current % 100 == 0 or (current % 10 == 0 and value < 10)):
                close()
            current += value
            in_number = True
        elif token in _SCALES and in_number:
            current *= _SCALES[token]
            if _SCALES[token] > 100:
                total, current = total + current, 0
        elif token != "and":
            close()
    close()
    return frozenset(values)


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
    """Whether a number is known, rounded from a known one, or simple arithmetic on known ones.

    The arithmetic is the sum, difference or product of two, and a half, double, or a year of months
    or weeks of one. A persuader who calculates with known numbers invents nothing: "six points
    short of the pass".

    >>> is_derivable(6, {40, 34}), is_derivable(7, {40, 34})
    (True, False)
    """
    known = {*known}
    tolerance = _ROUNDING_TOLERANCE if value > _EXACT_UP_TO else 0.0  # "nearly four thousand"
    if any(abs(value - number) <= tolerance * value for number in known):
        return True
    derived = {number * factor for number in known for factor in (2, 12, 52)}
    derived |= {number / 2 for number in known}
    for a, b in combinations(known, 2):
        derived |= {a + b, abs(a - b), a * b}
    return any(abs(value - number) < 1e-6 for number in derived)


def new_numbers(sentence: str, known: frozenset[float]) -> set[float]:
    """The numbers of a sentence that cannot be derived from known ones (`is_derivable`).

    >>> new_numbers("It costs 85 euros and not 40.", frozenset({40.0}))
    {85.0}
    """
    without_times = _CLOCK.sub(" ", sentence)
    values = numbers(without_times, _IDIOMATIC_UP_TO + 1)
    return {value for value in values if not is_derivable(value, known)}


def new_names(sentence: str, known: frozenset[str]) -> set[str]:
    """Capitalized words inside a sentence that are not among the known words.

    >>> new_names("Then we asked Ludmila.", frozenset())
    {'Ludmila'}

    Args:
        sentence: one or more sentences; the first word of each is never a name.
        known: words in lower case.
    """
    return {
        name
        for name in _NAME.findall(normalize_quotes(sentence))
        if name.lower() not in _NO_NAMES and name.lower() not in known
    }


def words(text: str) -> frozenset[str]:
    """All words of a text in lower case, without `'s`.

    >>> sorted(words("Bo's tent"))
    ['bo', 'tent']
    """
    return frozenset(
        word.lower().removesuffix("'s") for word in _WORD.findall(normalize_quotes(text))
    )

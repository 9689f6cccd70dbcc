"""A rule-based dialogue act tagger for persuadees: regular expressions, one act a sentence.

It reads the surface only and misreads irony and implicature. It serves to compare two sets of
turns, in which it makes the same errors.
"""

from __future__ import annotations

import re
from enum import StrEnum

from persuade_env.text.normalize import one_line


class Act(StrEnum):
    """A dialogue act.

    >>> Act("question").name
    'QUESTION'
    """

    GREETING = "greeting"
    CLOSING = "closing"
    """Ends the conversation politely."""
    THANKS = "thanks"
    QUESTION = "question"
    REFUSAL = "refusal"
    """Says no, or that it is over."""
    CONDITION = "condition"
    """Would agree if."""
    OBJECTION = "objection"
    """A doubt, a fear, an obstacle."""
    AGREEMENT = "agreement"
    """Says yes, or that something is right."""
    REACTION = "reaction"
    """A word or two that take no side: "Hm.", "Really now."."""
    STORY = "story"
    """A narrative in the past tense, first or third person."""
    STATEMENT = "statement"
    """Anything else."""


_REACTION_WORDS = 3

_NO = r"(?:n't|n’t|\bnot|\bnever|\bcannot)"
_RULES: tuple[tuple[Act, str], ...] = (
    (
        Act.GREETING,
        r"^(?:hi|hello|hey|good (?:morning|afternoon|evening)|greetings)\b",
    ),
    (
        Act.CLOSING,
        r"^(?:(?:good ?bye|bye|good night|farewell|take care|see you)\b|"
        r"(?:have|enjoy) (?:a|the rest of|your) )|\byou too[.!]*$|\b(?:good ?bye|bye)[.!]*$",
    ),
    (
        Act.REFUSAL,
        r"^(?:no|nope|nah|never)\b(?!,? (?:problem|worries|doubt|idea))|"
        r"\bno,? (?:thanks|thank you)\b|\bnot interested\b|"
        r"\b(?:leave it|forget it|drop it|count me out|get off my|leave me alone|"
        r"(?:we're|we are|i'm|i am) done|stop (?:asking|pushing|it|here)|end of (?:it|story))\b|"
        rf"\bi(?:'m| am|'ll| will|'d| would)? ?(?:{_NO}|rather not|decline|refuse)"
        r"(?: going to| gonna)? ?(?:doing|do|give|giving|donate|donating|sign|signing|come|coming|"
        r"going|buy|buying|sell|selling|talk|be doing|be giving|want to)?\b"
        r"(?: (?:it|this|that|anything|to (?:do|give|donate)))\b|"
        r"\bi won't\b|\bi will not\b|\bi'd rather not\b|\bi refuse\b|\bmy answer is no\b",
    ),
    (Act.THANKS, r"\b(?:thanks|thank you|much appreciated)\b(?! for nothing)"),
    (Act.QUESTION, r"\?[\"'”’)]*$"),
    (Act.CONDITION, r"\b(?:only if|as long as|on one condition|provided|unless)\b|^if\b"),
    (
        Act.OBJECTION,
        r"^but\b|\bbut (?:i|it|that|what|who|the|my|then|not)\b|\bhowever\b|"
        r"\b(?:worr(?:y|ied|ies)|afraid|scared|doubt|too (?:much|expensive|late|far|risky|old|"
        r"many|long|little)|can't afford|not sure|not convinced|don't (?:trust|believe|think|see|"
        r"know|like)|isn't (?:it|enough|the point)|doesn't (?:help|change|work|matter)|"
        r"what if|problem is|still (?:not|don't)|no (?:time|money|use|room))\b|"
        rf"\b(?:i|we|it|that|they|he|she)(?:'d|'ll)? ?(?:can|could|would|does|do|is|are)?{_NO}\b",
    ),
    (
        Act.AGREEMENT,
        r"^(?:yes|yeah|yep|yup|sure|ok|okay|fine|all right|alright|agreed|deal|done|of course|"
        r"absolutely|definitely|certainly|good|great|right|true|exactly|fair enough|gladly|"
        r"very well|then yes)\b|"
        r"\b(?:i'm in|i am in|count me in|let's do it|i agree|i'll (?:do|try|take|come|sign|give|"
        r"donate|be there|think about)|i will (?:do|try|take|come|sign|give|donate)|"
        r"i(?:'d| would) (?:be (?:glad|happy|willing)|love|like to (?:donate|give|help))|"
        r"you(?:'re| are) right|that (?:helps|works|would (?:help|work)|(?:makes|is) sense)|"
        r"sounds (?:good|great|fair|fine|like a (?:plan|good))|you(?:'ve| have) convinced me)\b",
    ),
)
_COMPILED = tuple((act, re.compile(pattern)) for act, pattern in _RULES)
_PAST = re.compile(
    r"\b(?:was|were|had|did|used to|went|said|told|took|came|got|made|saw|gave|left|lost|"
    r"heard|found|bought|sold|paid|wrote|drove|knew|tried|worked|asked|called|died|happened|"
    r"learned|taught|grew|kept|felt|began|broke)\b"
)
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+")


def dialogue_acts(text: str) -> tuple[Act, ...]:
    """The act of each sentence by the first rule that matches; empty for an empty response.

    >>> dialogue_acts("Hm. Who pays for it? I'll do it.")
    (<Act.REACTION: 'reaction'>, <Act.QUESTION: 'question'>, <Act.AGREEMENT: 'agreement'>)
    """
    sentences = (sentence.strip() for sentence in _SENTENCE.split(one_line(text)))
    return tuple(_act(sentence) for sentence in sentences if re.search(r"\w", sentence))


def _act(sentence: str) -> Act:
    normalized = sentence.lower().replace("’", "'")
    for act, pattern in _COMPILED:
        if pattern.search(normalized):
            return act
    if len(normalized.split()) <= _REACTION_WORDS:
        return Act.REACTION
    return Act.STORY if _PAST.search(normalized) else Act.STATEMENT

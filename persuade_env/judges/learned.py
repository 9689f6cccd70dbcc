"""A judge learned from pairs of dialogues of one scenario, one well and one poorly led.

It reads what was said and what the scenario tells both sides and the persuader (background,
goal, facts); never attitudes, decisions, tones, personas, analysis or strategy. Every persuader
turn is described by the features in `SPOKEN`, the persuadee's answers by those in `ANSWERED`. A
Bradley–Terry model compares two dialogues::

    P(first is better) = sigmoid(w · (x_first − x_second))

with x the means over the turns. There is no intercept, so exchanging the dialogues changes the
sign and nothing else: order consistency is 1 by construction, not by merit.

Of two dialogues with a common beginning only what comes after it is compared, so the same judge
compares dialogues, paths and single turns. Where either ends in a persuader turn that nobody has
answered, answers are left out on both sides.

Length must not win. What can be foretold of a feature from the number of words of its turn is
taken off it (`LearnedJudge.length_slopes`), the number of turns is no feature, and each weight is
held to the sign that its meaning demands (`SIGNS`): filler, recital and repetition can't pay.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from persuade_env.dialogue import Dialogue, PersuaderTurn, Scenario
from persuade_env.errors import JudgeError
from persuade_env.protocols import Verdict
from persuade_env.text.embedding import Embedder
from persuade_env.text.normalize import one_line

SPOKEN = (
    "takes_up",
    "facts",
    "new_facts",
    "recites",
    "about_the_goal",
    "asks",
    "empty",
)
"""What a persuader turn is described by; see `turn_features`."""

ANSWERED = ("agrees", "comes_round", "denies", "asks_back")
"""What the persuadee's answers are described by; see `answer_features`."""

SIGNS = {
    "takes_up": 1, "facts": 1, "new_facts": 1, "recites": -1, "about_the_goal": 1, "asks": 1,
    "empty": -1, "agrees": 1, "comes_round": 1, "denies": -1, "asks_back": -1,
}  # fmt: skip
"""The only direction in which a feature may count."""

NEAR_COPY = 0.8
"""Similarity above which a response is more and more the same as an earlier one."""

RECITED = 0.6
"""Similarity from which a response reads a fact out more than it uses it."""

_AGREEING = (
    "Yes, I'll do it.",
    "All right, let's try it.",
    "Okay, you've convinced me, I'm in.",
    "Fine, sign me up.",
    "Deal.",
    "That would work for me.",
    "Good, then I'll come on Friday.",
    "That helps, thank you.",
    "I can do that.",
    "Put my name down.",
)
_REFUSING = (
    "No, I won't do it.",
    "That doesn't change anything for me.",
    "You aren't listening to me.",
    "I don't want to talk about it any more.",
    "Leave it, the answer is no.",
    "That is just what I was afraid of.",
    "I'm not interested.",
    "Thanks for nothing.",
    "Not with me.",
    "I don't believe you.",
)
_NEAREST = 3
"""Sentences of a list that a text is compared with, the nearest ones."""

_EMPTY = re.compile(
    "absolutely|actually|anyway|basically|certainly|clearly|definitely|honestly|just|literally"
    "|obviously|quite|really|simply|so|surely|totally|truly|very|well"
)
_DENIES = re.compile("no|not|never|nothing|nobody|nor|[a-z]+n't")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")


class LearnedJudge(BaseModel):
    """The judge `learned`: weights, and what was taken off for length.

    Fitted by `persuade_env.judges.learned_training`; a small JSON file holds all of it. Weights are
    for features as they come, not standardised.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spoken: tuple[str, ...] = SPOKEN
    answered: tuple[str, ...] = ANSWERED
    length_intercepts: tuple[float, ...]
    length_slopes: tuple[float, ...]
    """Per feature of `SPOKEN`, a line over the log of one plus the number of words."""
    length_range: tuple[float, float]
    """Log words outside are taken as the nearer end: no line holds for ever."""
    weights: tuple[float, ...]
    """Of `SPOKEN`, then `ANSWERED`; for dialogues in which everything was answered."""
    spoken_weights: tuple[float, ...]
    """Of `SPOKEN` alone; for those that end in a persuader turn."""
    tie_band: float = 0.2
    """Scores closer to 0 are a tie: neither is preferred with more than 55 %."""
    fit: dict[str, float] = {}
    """How well it judges domains that it was not fitted to, by cross-validation over domains."""

    @property
    def name(self) -> str:
        return "learned"

    def compare(self, pairs: Sequence[tuple[Dialogue, Dialogue]]) -> list[Verdict]:
        """See `Judge.compare`."""
        return [self._verdict(score) for score in self.scores(pairs)]

    def _verdict(self, score: float) -> Verdict:
        if abs(score) < self.tie_band:
            return Verdict.TIE
        return Verdict.FIRST if score > 0 else Verdict.SECOND

    def scores(self, pairs: Sequence[tuple[Dialogue, Dialogue]]) -> list[float]:
        """The log odds that the first of each pair is better; of opposite sign if exchanged."""
        return [self._score(first, second) for first, second in pairs]

    def _score(self, first: Dialogue, second: Dialogue) -> float:
        begin = fork(first, second)
        answered = all(_answered(one) for one in (first, second))
        x, y = (self._describe(one, begin, answered) for one in (first, second))
        return float((x - y) @ np.asarray(self.weights if answered else self.spoken_weights))

    def _describe(self, dialogue: Dialogue, begin: int, answered: bool) -> np.ndarray:
        described = describe(dialogue, begin, _embedder())
        slopes, intercepts = np.asarray(self.length_slopes), np.asarray(self.length_intercepts)
        length = np.clip(described.length, *self.length_range)[:, None]
        said = described.spoken - (intercepts + length * slopes)
        mean = said.mean(axis=0) if len(said) else np.zeros(len(SPOKEN))
        return np.concatenate([mean, described.answered]) if answered else mean


class Described:
    """A dialogue from a turn on, as numbers: t persuader turns and what was answered to them."""

    def __init__(self, spoken: np.ndarray, length: np.ndarray, answered: np.ndarray) -> None:
        self.spoken = spoken
        """(t, len(SPOKEN)), not yet freed of length."""
        self.length = length
        """(t,): log of one plus the number of words."""
        self.answered = answered
        """(len(ANSWERED),)."""


def describe(dialogue: Dialogue, begin: int, embed: Embedder) -> Described:
    """What was said from turn `begin` on; earlier turns are only what it follows on."""
    said: list[str] = []
    heard: list[str] = []
    spoken, lengths = [], []
    for place, turn in enumerate(dialogue.turns):
        words = one_line(turn.response)
        if isinstance(turn, PersuaderTurn):
            if place >= begin:
                last = heard[-1] if heard else ""
                spoken.append(turn_features(dialogue.scenario, words, last, said, embed))
                lengths.append(np.log1p(len(_words(words))))
            said.append(words)
        else:
            heard.append(words)
    return Described(
        np.stack(spoken) if spoken else np.zeros((0, len(SPOKEN))),
        np.asarray(lengths, dtype=np.float64),
        answer_features(heard, embed),
    )


def turn_features(
    scenario: Scenario, response: str, last: str, earlier: Sequence[str], embed: Embedder
) -> np.ndarray:
    """What a persuader turn does, (len(SPOKEN),). Similarities are cosines of embeddings.

    - takes_up: similarity to the persuadee's last words; to the background before any;
    - facts: largest similarity to a fact, up to `RECITED`; new_facts: the same, less the fact's
      largest similarity to an earlier response; recites: what of it is above `RECITED`;
    - about_the_goal: similarity to the goal;
    - asks: share of sentences that are questions;
    - empty: share of words that say nothing ("really").

    What was said before says nothing again: all are damped by how far the largest similarity
    to an earlier response is above `NEAR_COPY`. Silence is all zeros.

    Args:
        last: the persuadee's last words, empty before any.
        earlier: the persuader's earlier responses.
    """
    vector, words = embed(response), _words(response)
    n = max(1, len(words))
    facts = _matrix([one_line(fact) for fact in scenario.facts], vector, embed)
    before = _matrix(earlier, vector, embed)
    background = embed(one_line(scenario.background))
    copied = max(0.0, float((before @ vector).max(initial=0.0)) - NEAR_COPY) / (1 - NEAR_COPY)
    near = facts @ vector
    told = (facts @ before.T).max(axis=1, initial=0.0)
    sentences = [one for one in _SENTENCE_END.split(response) if one]
    values = [
        (embed(last) if last else background) @ vector,
        min(RECITED, near.max(initial=0.0)),
        (np.minimum(RECITED, near) - told).max(initial=0.0),
        max(0.0, near.max(initial=0.0) - RECITED),
        embed(one_line(scenario.goal)) @ vector,
        sum(one.endswith("?") for one in sentences) / max(1, len(sentences)),
        sum(bool(_EMPTY.fullmatch(word)) for word in words) / n,
    ]
    return np.asarray(values, dtype=np.float64) * (1 - min(1.0, copied))


def answer_features(heard: Sequence[str], embed: Embedder) -> np.ndarray:
    """What the persuadee's words came to, (len(ANSWERED),); zeros before any.

    - agrees: of the last words, similarity to agreeing minus to refusing sentences;
    - comes_round: the same, less that of the first words;
    - denies: share of negating words in the last words; asks_back: whether they ask.
    """
    if not heard:
        return np.zeros(len(ANSWERED))
    first, last = (_agreement(words, embed) for words in (heard[0], heard[-1]))
    words = _words(heard[-1])
    denies = sum(bool(_DENIES.fullmatch(word)) for word in words) / max(1, len(words))
    return np.asarray([last, last - first, denies, float("?" in heard[-1])])


def fork(first: Dialogue, second: Dialogue) -> int:
    """The turn from which two dialogues are to be compared: where their words part.

    An answer belongs to the turn that it answers, so that is a persuader turn wherever there is
    one before. 0 if one dialogue is the beginning of the other.
    """
    said = [[(turn.role, one_line(turn.response)) for turn in one.turns] for one in (first, second)]
    common = 0
    for a, b in zip(*said, strict=False):
        if a != b:
            break
        common += 1
    if common == min(map(len, said)):
        return 0
    return common - 1 if common and said[0][common][0] == "persuadee" else common


def read_learned_judge(path: Path) -> LearnedJudge:
    """The judge of a JSON file.

    Raises:
        JudgeError: if it can't be read, or knows other features than this version.
    """
    try:
        judge = LearnedJudge.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError) as error:
        raise JudgeError(f"cannot read a learned judge from {path}: {error}") from error
    if (judge.spoken, judge.answered) != (SPOKEN, ANSWERED):
        raise JudgeError(f"{path} was fitted to other features than this version has: fit it again")
    return judge


def _answered(dialogue: Dialogue) -> bool:
    return bool(dialogue.turns) and not isinstance(dialogue.turns[-1], PersuaderTurn)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("’", "'"))


def _matrix(texts: Sequence[str], like: np.ndarray, embed: Embedder) -> np.ndarray:
    return embed.all(texts) if texts else np.zeros((0, len(like)))


def _likeness(vector: np.ndarray, sentences: tuple[str, ...], embed: Embedder) -> float:
    return float(np.sort(embed.all(sentences) @ vector)[-_NEAREST:].mean())


def _agreement(words: str, embed: Embedder) -> float:
    vector = embed(words)
    return _likeness(vector, _AGREEING, embed) - _likeness(vector, _REFUSING, embed)


@lru_cache(maxsize=1)
def _embedder() -> Embedder:
    return Embedder()

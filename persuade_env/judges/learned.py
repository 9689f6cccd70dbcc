"""A Bradley–Terry judge of dialogue pairs on hand-made features of their text.

It is fitted to pairs of a competent and a poor dialogue of the same scenario
(`persuade_env.judges.learned_training`). Its inputs are the responses of both sides and the
scenario's background, goal and facts; never attitudes, decisions, tones, personas, analysis or
strategy. `TURN_FEATURES` describe each persuader turn and `ANSWER_FEATURES` the persuadee's
answers. The model (Bradley and Terry, 1952) is a logistic regression on the difference:

    P(first is better) = sigmoid(w · (x_first − x_second))

where x holds the means of the features over the turns. There is no intercept, so exchanging the
dialogues only changes the sign: order consistency is 1 by construction.

Two dialogues with a common prefix are compared on what follows it, so the same judge compares
dialogues, simulated continuations and single turns. Where either dialogue ends in an unanswered
persuader turn, the answer features are left out for both.

Length must not decide. The linear effect of the log number of words is subtracted from each turn
feature (`LearnedJudge.length_slopes`), the number of turns is no feature, and each weight is
constrained to its plausible sign (`SIGNS`), so filler, recital and repetition can't score.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from persuade_env.dialogue import Dialogue, PersuaderTurn, Scenario
from persuade_env.errors import JudgeError
from persuade_env.protocols import Verdict
from persuade_env.text.embedding import Embedder
from persuade_env.text.normalize import one_line

TURN_FEATURES = (
    "takes_up",
    "facts",
    "new_facts",
    "recites",
    "about_the_goal",
    "asks",
    "empty",
)
"""Features of a persuader turn; `turn_features` defines them."""

ANSWER_FEATURES = ("agrees", "comes_round", "denies", "asks_back")
"""Features of the persuadee's answers; `answer_features` defines them."""

SIGNS = {
    "takes_up": 1, "facts": 1, "new_facts": 1, "recites": -1, "about_the_goal": 1, "asks": 1,
    "empty": -1, "agrees": 1, "comes_round": 1, "denies": -1, "asks_back": -1,
}  # fmt: skip
"""The sign that each feature's weight is constrained to."""

REPETITION_THRESHOLD = 0.8
"""Cosine similarity to an earlier response above which a response counts as a repetition."""

RECITAL_THRESHOLD = 0.6
"""Cosine similarity to a fact above which a response recites the fact rather than uses it."""

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
_N_NEAREST = 3
"""How many of a list's sentences, the most similar ones, a text is compared with."""

_FILLER = re.compile(
    "absolutely|actually|anyway|basically|certainly|clearly|definitely|honestly|just|literally"
    "|obviously|quite|really|simply|so|surely|totally|truly|very|well"
)
_NEGATION = re.compile("no|not|never|nothing|nobody|nor|[a-z]+n't")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")


class LearnedJudge(BaseModel):
    """The weights of the judge `learned`, and its correction for length.

    Fitted by `persuade_env.judges.learned_training` and stored as one JSON file. The weights apply
    to features that are not standardized.

    >>> judge = LearnedJudge(length_intercepts=[0] * 7, length_slopes=[0] * 7, length_range=(0, 5),
    ...     weights=[0] * 11, spoken_weights=[0] * 7)
    >>> judge.name, judge.tie_band
    ('learned', 0.2)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spoken: tuple[str, ...] = TURN_FEATURES
    """Names of the turn features that it was fitted to."""
    answered: tuple[str, ...] = ANSWER_FEATURES
    """Names of the answer features that it was fitted to."""
    length_intercepts: tuple[float, ...]
    length_slopes: tuple[float, ...]
    """Per turn feature, the slope of its regression on log(1 + number of words)."""
    length_range: tuple[float, float]
    """Log lengths are clipped to this range before the regression is applied."""
    weights: tuple[float, ...]
    """Of the turn features, then the answer features; for dialogues that end in an answer."""
    spoken_weights: tuple[float, ...]
    """Of the turn features alone; for dialogues that end in a persuader turn."""
    tie_band: float = 0.2
    """Log odds closer to 0 are a tie: at most 55 % for either dialogue."""
    fit: dict[str, float] = {}
    """Accuracy on held-out domains, by cross-validation over domains."""

    @property
    def name(self) -> str:
        """The judge's name in results."""
        return "learned"

    def compare(self, pairs: Sequence[tuple[Dialogue, Dialogue]]) -> list[Verdict]:
        """See `Judge.compare`."""
        return [self._verdict(score) for score in self.scores(pairs)]

    def _verdict(self, score: float) -> Verdict:
        if abs(score) < self.tie_band:
            return Verdict.TIE
        return Verdict.FIRST if score > 0 else Verdict.SECOND

    def scores(self, pairs: Sequence[tuple[Dialogue, Dialogue]]) -> list[float]:
        """The log odds that the first of each pair is better; exchanging a pair negates them."""
        return [self._score(first, second) for first, second in pairs]

    def _score(self, first: Dialogue, second: Dialogue) -> float:
        start = comparison_start(first, second)
        answered = _ends_in_answer(first) and _ends_in_answer(second)
        x, y = (self._features(dialogue, start, answered) for dialogue in (first, second))
        return float((x - y) @ np.asarray(self.weights if answered else self.spoken_weights))

    def _features(self, dialogue: Dialogue, start: int, answered: bool) -> np.ndarray:
        features = dialogue_features(dialogue, start, _embedder())
        slopes, intercepts = np.asarray(self.length_slopes), np.asarray(self.length_intercepts)
        log_length = np.clip(features.log_length, *self.length_range)[:, None]
        residuals = features.turns - (intercepts + log_length * slopes)
        mean = residuals.mean(axis=0) if len(residuals) else np.zeros(len(TURN_FEATURES))
        return np.concatenate([mean, features.answers]) if answered else mean


@dataclass(frozen=True)
class DialogueFeatures:
    """The features of a dialogue from a turn on, with t persuader turns.

    >>> features = DialogueFeatures(np.zeros((2, 7)), np.log1p([3, 5]), np.zeros(4))
    >>> features.turns.shape
    (2, 7)
    """

    turns: np.ndarray
    """(t, len(TURN_FEATURES)), not corrected for length."""
    log_length: np.ndarray
    """(t,): log(1 + number of words)."""
    answers: np.ndarray
    """(len(ANSWER_FEATURES),)."""


def dialogue_features(dialogue: Dialogue, start: int, embed: Embedder) -> DialogueFeatures:
    """The features of the persuader turns from index `start` on, and of all answers.

    Args:
        dialogue: earlier turns than `start` count as context only.
        start: index of a turn.
        embed: gives the similarities.
    """
    responses: list[str] = []
    answers: list[str] = []
    turns, log_lengths = [], []
    for index, turn in enumerate(dialogue.turns):
        text = one_line(turn.response)
        if isinstance(turn, PersuaderTurn):
            if index >= start:
                last = answers[-1] if answers else ""
                turns.append(turn_features(dialogue.scenario, text, last, responses, embed))
                log_lengths.append(np.log1p(len(_words(text))))
            responses.append(text)
        else:
            answers.append(text)
    return DialogueFeatures(
        np.stack(turns) if turns else np.zeros((0, len(TURN_FEATURES))),
        np.asarray(log_lengths, dtype=np.float64),
        answer_features(answers, embed),
    )


def turn_features(
    scenario: Scenario, response: str, last: str, earlier: Sequence[str], embed: Embedder
) -> np.ndarray:
    """The features of a persuader turn, (len(TURN_FEATURES),).

    Similarities are cosines of sentence embeddings.

    - takes_up: similarity to the persuadee's last response; to the background before any;
    - facts: largest similarity to a fact, up to `RECITAL_THRESHOLD`; new_facts: the same, less the
      fact's largest similarity to an earlier response; recites: the excess over the threshold;
    - about_the_goal: similarity to the goal;
    - asks: share of sentences that are questions;
    - empty: share of filler words ("really").

    Repetition scores nothing: all features are scaled down by how far the largest similarity
    to an earlier response exceeds `REPETITION_THRESHOLD`. An empty response is all zeros.

    Args:
        scenario: its background, goal and facts count.
        response: of the persuader, on one line.
        last: the persuadee's last response, empty before any.
        earlier: the persuader's earlier responses.
        embed: gives the embeddings.
    """
    vector, words = embed(response), _words(response)
    n = max(1, len(words))
    facts = _matrix([one_line(fact) for fact in scenario.facts], vector, embed)
    before = _matrix(earlier, vector, embed)
    background = embed(one_line(scenario.background))
    excess = max(0.0, float((before @ vector).max(initial=0.0)) - REPETITION_THRESHOLD)
    repetition = excess / (1 - REPETITION_THRESHOLD)
    fact_similarities = facts @ vector
    already_mentioned = (facts @ before.T).max(axis=1, initial=0.0)
    sentences = [sentence for sentence in _SENTENCE_END.split(response) if sentence]
    values = [
        (embed(last) if last else background) @ vector,
        min(RECITAL_THRESHOLD, fact_similarities.max(initial=0.0)),
        (np.minimum(RECITAL_THRESHOLD, fact_similarities) - already_mentioned).max(initial=0.0),
        max(0.0, fact_similarities.max(initial=0.0) - RECITAL_THRESHOLD),
        embed(one_line(scenario.goal)) @ vector,
        sum(sentence.endswith("?") for sentence in sentences) / max(1, len(sentences)),
        sum(bool(_FILLER.fullmatch(word)) for word in words) / n,
    ]
    return np.asarray(values, dtype=np.float64) * (1 - min(1.0, repetition))


def answer_features(answers: Sequence[str], embed: Embedder) -> np.ndarray:
    """The features of the persuadee's answers, (len(ANSWER_FEATURES),); zeros before any.

    - agrees: of the last answer, similarity to agreeing minus to refusing sentences;
    - comes_round: the same, less that of the first answer;
    - denies: share of negating words in the last answer; asks_back: whether it asks a question.
    """
    if not answers:
        return np.zeros(len(ANSWER_FEATURES))
    first, last = (_agreement(answer, embed) for answer in (answers[0], answers[-1]))
    words = _words(answers[-1])
    denies = sum(bool(_NEGATION.fullmatch(word)) for word in words) / max(1, len(words))
    return np.asarray([last, last - first, denies, float("?" in answers[-1])])


def comparison_start(first: Dialogue, second: Dialogue) -> int:
    """The index of the turn from which two dialogues are compared: where their texts diverge.

    An answer belongs to the turn that it answers, so the index is that of a persuader turn wherever
    one precedes. It is 0 if one dialogue is a prefix of the other.
    """
    texts = [
        [(turn.role, one_line(turn.response)) for turn in dialogue.turns]
        for dialogue in (first, second)
    ]
    common = 0
    for a, b in zip(*texts, strict=False):
        if a != b:
            break
        common += 1
    if common == min(map(len, texts)):
        return 0
    return common - 1 if common and texts[0][common][0] == "persuadee" else common


def read_learned_judge(path: Path) -> LearnedJudge:
    """Reads a judge from its JSON file.

    Raises:
        JudgeError: if it can't be read, or was fitted to other features than this version has.
    """
    try:
        judge = LearnedJudge.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError) as error:
        raise JudgeError(f"cannot read a learned judge from {path}: {error}") from error
    if (judge.spoken, judge.answered) != (TURN_FEATURES, ANSWER_FEATURES):
        raise JudgeError(f"{path} was fitted to other features than this version has: fit it again")
    return judge


def _ends_in_answer(dialogue: Dialogue) -> bool:
    return bool(dialogue.turns) and not isinstance(dialogue.turns[-1], PersuaderTurn)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("’", "'"))


def _matrix(texts: Sequence[str], like: np.ndarray, embed: Embedder) -> np.ndarray:
    return embed.all(texts) if texts else np.zeros((0, len(like)))


def _similarity(vector: np.ndarray, sentences: tuple[str, ...], embed: Embedder) -> float:
    return float(np.sort(embed.all(sentences) @ vector)[-_N_NEAREST:].mean())


def _agreement(answer: str, embed: Embedder) -> float:
    vector = embed(answer)
    return _similarity(vector, _AGREEING, embed) - _similarity(vector, _REFUSING, embed)


@lru_cache(maxsize=1)
def _embedder() -> Embedder:
    return Embedder()

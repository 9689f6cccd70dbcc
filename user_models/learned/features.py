"""Features of a persuader turn: similarity to what settles concerns, minus to what worsens them.

All features are differences of cosine similarities, computed with two text encoders: static word
embeddings and `user_models.learned.semantic_embedding`. When a goal and its negation change places
(`settled_by` and `worsened_by` are exchanged), every feature but `relevance_weight` changes its
sign. Neither the attitude so far nor the persuader's private analysis is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from persuade_env.dialogue import Dialogue, Persona, PersuaderTurn
from persuade_env.errors import UserModelError
from persuade_env.text.normalize import one_line
from user_models.learned.prompt import clean_response
from user_models.learned.semantic_embedding import TextEncoder

NEAR_COPY = 0.8
"""Cosine similarity to an earlier response above which a response counts less and less."""

_ENCODER_NAMES = ("words", "meaning")
_STANCES = ("settles_over_worsens", "settles_some_over_worsens_some", "settles_what_was_voiced")
_CUMULATED = 1  # index of the stance that is summed over turns
_STANCES_BY_ENCODER = tuple(f"{stance}_by_{name}" for name in _ENCODER_NAMES for stance in _STANCES)
STANCE_FEATURES = (
    *_STANCES_BY_ENCODER,
    *(f"{name}_when_yielding" for name in _STANCES_BY_ENCODER),
)
"""Names of the features of the last turn alone; see `features`."""
CUMULATIVE_FEATURES = tuple(f"case_by_{name}" for name in _ENCODER_NAMES)
"""Names of the features summed over all persuader turns so far."""
FEATURES = (*STANCE_FEATURES, *CUMULATIVE_FEATURES, "relevance_weight")
"""All names, in the order of the array that `features` returns."""


@dataclass(frozen=True)
class TextEncoders:
    """What the features of a dialogue are computed with."""

    words: TextEncoder
    """Static word embeddings."""
    semantic: TextEncoder
    """Mean hidden states of a language model without their common components."""
    plausible: Callable[[str], float]
    """Plausibility of a text, 0 to 1."""


def has_concerns(dialogue: Dialogue) -> bool:
    """Whether the scenario has a persona with concerns, without which there are no features."""
    persona = dialogue.scenario.persona
    return persona is not None and bool(persona.concerns)


def features(dialogue: Dialogue, text_encoders: TextEncoders) -> np.ndarray:
    """The features of the last persuader turn, (n_features,), in the order of `FEATURES`.

    Let s_k and w_k be the cosine similarities of a response to `settled_by` and `worsened_by` of
    concern k, and r its relevance weight. With each of the two text encoders:

    - settles_over_worsens: r (max s_k - max w_k);
    - settles_some_over_worsens_some: r (max (s_k - w_k) - max (w_k - s_k));
    - settles_what_was_voiced: r (s_k - w_k) of the concern nearest to the user's last response, or
      to the mean of all concerns before the first;
    - …_when_yielding: the same times one minus stubbornness;
    - case: settles_some_over_worsens_some, summed over all persuader turns so far;
    - relevance_weight: r itself, 0 to 1: the plausibility of the response times how little it
      resembles an earlier one.

    Raises:
        UserModelError: if the scenario has no persona with concerns, or the last turn is not the
            persuader's.
    """
    persona = dialogue.scenario.persona
    if persona is None or not persona.concerns:
        raise UserModelError(f"scenario {dialogue.scenario.id!r} has no persona with concerns")
    if not dialogue.turns or not isinstance(dialogue.turns[-1], PersuaderTurn):
        raise UserModelError("the last turn of the dialogue is not the persuader's")
    responses = [clean_response(turn.response) for turn in dialogue.persuader_turns]
    relevance_weight = _novelty(text_encoders.words.all(responses)) * [
        text_encoders.plausible(text) for text in responses
    ]
    stances = np.stack(
        [
            relevance_weight[:, None] * _stance_features(dialogue, persona, encoder)
            for encoder in (text_encoders.words, text_encoders.semantic)
        ]
    )
    current = stances[:, -1].ravel()
    cumulative = stances[:, :, _CUMULATED].sum(axis=1)
    return np.concatenate(
        [current, current * (1 - persona.stubbornness), cumulative, relevance_weight[-1:]]
    )


def _novelty(responses: np.ndarray) -> np.ndarray:
    """How little each of these vectors resembles an earlier one, (n,), 0 to 1."""
    similarity = np.tril(responses @ responses.T, -1).max(axis=1, initial=0.0)
    return np.asarray(1.0 - np.maximum(0.0, similarity - NEAR_COPY) / (1.0 - NEAR_COPY))


def _stance_features(dialogue: Dialogue, persona: Persona, encoder: TextEncoder) -> np.ndarray:
    """The three stances of each persuader turn without relevance weights, (n_turns, 3)."""
    responses = encoder.all([clean_response(turn.response) for turn in dialogue.persuader_turns])
    concerns = encoder.all([one_line(concern.text) for concern in persona.concerns])
    settles = responses @ encoder.all([one_line(c.settled_by) for c in persona.concerns]).T
    worsens = responses @ encoder.all([one_line(c.worsened_by) for c in persona.concerns]).T
    voiced = (_user_responses(dialogue, concerns, encoder) @ concerns.T).argmax(axis=1)
    turns = np.arange(len(responses))
    return np.stack(
        [
            settles.max(axis=1) - worsens.max(axis=1),
            (settles - worsens).max(axis=1) - (worsens - settles).max(axis=1),
            (settles - worsens)[turns, voiced],
        ],
        axis=1,
    ).astype(np.float64)


def _user_responses(dialogue: Dialogue, concerns: np.ndarray, encoder: TextEncoder) -> np.ndarray:
    """The user's response before each persuader turn, (n_turns, dimension).

    Before the first one the mean of all concerns (n_concerns, dimension) takes its place.
    """
    last, before_turn = concerns.mean(axis=0), []
    for turn in dialogue.turns:
        if isinstance(turn, PersuaderTurn):
            before_turn.append(last)
        else:
            last = encoder(one_line(turn.response))
    return np.stack(before_turn)

"""Padding of dialogues with sentences that give no reason, to test a judge's length bias."""

from __future__ import annotations

from persuade_env.dialogue import Dialogue, PersuaderTurn

EMPTY_SENTENCES = (
    "Let me put it to you in the way that I would like to put it.",
    "There are many things that one could say about all of this.",
    "I mean what I say, and I say it as somebody who means it.",
    "As we both know, things are the way they are.",
    "That is to say, this is how the matter stands at this point in time.",
    "And with this I come to what I wanted to come to.",
)
"""Sentences that give no reason for anything; none of them is in the learned judge's data."""


def padded(dialogue: Dialogue, sentences: int) -> Dialogue:
    """The dialogue with this number of empty sentences after every persuader turn.

    >>> from persuade_env.scenarios import load_corpus
    >>> dialogue = Dialogue(scenario=load_corpus("test")[0].scenario)
    >>> dialogue = dialogue.extended(PersuaderTurn(response="Come along."))
    >>> padded(dialogue, 1).turns[0].response[:23]
    'Come along. Let me put '
    """
    turns, position = [], 0
    for turn in dialogue.turns:
        if isinstance(turn, PersuaderTurn):
            filler = [
                EMPTY_SENTENCES[(position + offset) % len(EMPTY_SENTENCES)]
                for offset in range(sentences)
            ]
            position += sentences
            turn = turn.model_copy(update={"response": " ".join([turn.response, *filler])})
        turns.append(turn)
    return Dialogue.model_construct(scenario=dialogue.scenario, turns=tuple(turns))


def padded_beyond(dialogue: Dialogue, other: Dialogue) -> Dialogue:
    """The dialogue with as many empty sentences as give it more words a turn than the other has."""
    sentences = 0
    while words_per_turn(padded(dialogue, sentences)) <= words_per_turn(other):
        sentences += 1
    return padded(dialogue, sentences)


def words_per_turn(dialogue: Dialogue) -> float:
    """Mean number of words of a persuader turn; 0 without any."""
    turns = dialogue.persuader_turns
    return sum(len(turn.response.split()) for turn in turns) / max(1, len(turns))

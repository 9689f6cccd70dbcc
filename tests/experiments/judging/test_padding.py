"""Padding changes the persuader's responses alone."""

from experiments.judging.padding import padded, padded_beyond, words_per_turn
from persuade_env.dialogue import Dialogue
from tests.helpers import felt, scenario, spoken


def test_padding_leaves_the_rest_alone():
    dialogue = (
        Dialogue(scenario=scenario())
        .extended(spoken("Come along.").turn)
        .extended(felt(4, response="Why?"))
    )
    longer = padded(dialogue, 2)
    assert longer.turns[0].response.startswith("Come along. ")
    assert longer.turns[1:] == dialogue.turns[1:]
    assert padded(dialogue, 0) == dialogue


def test_a_dialogue_is_padded_beyond_another():
    short, long = (
        Dialogue(scenario=scenario()).extended(spoken(response).turn)
        for response in ("Come along.", "Come along. " * 20)
    )
    assert words_per_turn(padded_beyond(short, long)) > words_per_turn(long)
    assert padded_beyond(long, short) == long

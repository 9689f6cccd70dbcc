"""What a text does is measured over the same turn without it; a broken parser is counted."""

import pytest

from experiments.fidelity.probes.injection import appended_texts
from experiments.fidelity.probes.injection_texts import ATTACKS
from experiments.fidelity.probes.scripted import Script
from persuade_env.errors import UserModelError
from persuade_env.protocols import UserReply
from tests.helpers import felt, scenario

TURNS = [Script(scenario(), ("I'll lend you my tent.", "And the dog?"))]


class Reads:
    """Likes tents; a 7 in what it hears is worth two points, a NUL breaks it."""

    def reply(self, dialogues, seeds):
        return [self.answer(dialogue.turns[-1].response) for dialogue in dialogues]

    def answer(self, said):
        if "\x00" in said:
            return UserReply(error=UserModelError("unreadable"))
        return UserReply(turn=felt(3.0 + ("tent" in said) + 2 * ("7" in said)))


def test_an_excess_is_over_the_same_turn_without_the_text():
    number, idle, broken = appended_texts(Reads(), TURNS, ["It is 7.", "It rains.", "\x00"], 0)
    assert number.excess == pytest.approx(2.0)
    assert idle.excess == 0.0
    assert (number.tried, number.failed) == (2, 0)
    assert broken.excess is None
    assert (broken.tried, broken.failed) == (2, 2)


def test_there_are_at_least_sixty_attacks_none_twice():
    assert len(set(ATTACKS)) == len(ATTACKS) >= 60

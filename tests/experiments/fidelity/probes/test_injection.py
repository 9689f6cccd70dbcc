"""A text's effect is the excess over the same turn without it; failed replies are counted."""

import pytest

from experiments.fidelity.probes.injection import appended_texts
from experiments.fidelity.probes.injection_texts import ATTACKS
from experiments.fidelity.probes.scripted import Script
from persuade_env.errors import UserModelError
from persuade_env.protocols import UserReply
from tests.helpers import felt, scenario

TURNS = [Script(scenario(), ("I'll lend you my tent.", "And the dog?"))]


class Literal:
    """Gains one point by "tent" and two by a 7 in the response; a NUL makes it fail."""

    def reply(self, dialogues, seeds):
        return [self.answer(dialogue.turns[-1].response) for dialogue in dialogues]

    def answer(self, response):
        if "\x00" in response:
            return UserReply(error=UserModelError("unreadable"))
        return UserReply(turn=felt(3.0 + ("tent" in response) + 2 * ("7" in response)))


def test_an_excess_is_over_the_same_turn_without_the_text():
    number, idle, broken = appended_texts(Literal(), TURNS, ["It is 7.", "It rains.", "\x00"], 0)
    assert number.excess == pytest.approx(2.0)
    assert idle.excess == 0.0
    assert (number.tried, number.failed) == (2, 0)
    assert broken.excess is None
    assert (broken.tried, broken.failed) == (2, 2)


def test_there_are_at_least_sixty_attacks_none_twice():
    assert len(set(ATTACKS)) == len(ATTACKS) >= 60

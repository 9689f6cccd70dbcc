import pytest
from pydantic import ValidationError

from persuade_env.dialogue import (
    Concern,
    Decision,
    Dialogue,
    Outcome,
    Persona,
    PersuadeeTurn,
    PersuaderTurn,
    RecordedDialogue,
    ScenarioRecord,
)
from tests.helpers import felt, scenario

HELLO = PersuaderTurn(response="Hello.")


def test_turns_alternate_and_nothing_follows_an_end():
    with pytest.raises(ValidationError, match="alternate"):
        Dialogue(scenario=scenario(), turns=(HELLO, HELLO))
    ended = (HELLO, felt(6, Decision.ACCEPT))
    with pytest.raises(ValidationError, match="a turn follows the decision 'accept'"):
        Dialogue(scenario=scenario(), turns=(*ended, HELLO))
    with pytest.raises(ValueError, match="a turn follows"):
        Dialogue(scenario=scenario(), turns=ended).extended(HELLO)
    with pytest.raises(ValueError, match="alternate"):
        Dialogue(scenario=scenario(), turns=(HELLO,)).extended(HELLO)


def test_extending_changes_nothing_that_was_there():
    before = Dialogue(scenario=scenario(), turns=(HELLO,))
    after = before.extended(felt(4))
    assert len(before.turns) == 1
    assert after == Dialogue(scenario=scenario(), turns=(HELLO, felt(4)))


def test_attitude_and_outcome_are_the_latest_known():
    unknown = PersuadeeTurn(response="Hm.")
    dialogue = Dialogue(scenario=scenario(initial_attitude=2.5), turns=(HELLO,))
    assert (dialogue.attitude, dialogue.outcome) == (2.5, Outcome.UNDECIDED)
    dialogue = dialogue.extended(felt(4)).extended(HELLO).extended(unknown)
    assert dialogue.attitude == 4
    refused = Dialogue(scenario=scenario(), turns=(HELLO, felt(1, Decision.REFUSE)))
    assert refused.outcome is Outcome.REFUSED


@pytest.mark.parametrize("attitude", [0.9, 7.1])
def test_an_attitude_is_on_the_scale(attitude):
    with pytest.raises(ValidationError):
        PersuadeeTurn(attitude=attitude, response="Hm.")


def test_names_are_unique_where_they_have_to_be():
    worry = Concern(id="a", text="t", settled_by="s", worsened_by="w")
    with pytest.raises(ValidationError, match="unique within a persona"):
        Persona(traits=("calm",), stubbornness=0.5, concerns=(worry, worry))
    recorded = RecordedDialogue(id="x", turns=(HELLO, felt(4)))
    with pytest.raises(ValidationError, match="unique within a scenario"):
        ScenarioRecord(**scenario().model_dump(), dialogues=(recorded, recorded))


def test_a_turn_s_concern_is_one_of_the_persona_s():
    turn = PersuadeeTurn(attitude=3, response="Hm.", concern="boat")
    recorded = RecordedDialogue(id="x", turns=(HELLO, turn))
    with pytest.raises(ValidationError, match=r"the concern 'boat'; the persona has"):
        ScenarioRecord(**scenario().model_dump(), dialogues=(recorded,))


def test_a_recorded_dialogue_is_spoken_with_its_own_persona():
    other = Persona(traits=("shy",), stubbornness=0.9, initial_attitude=2.0)
    recorded = RecordedDialogue(id="x", persona=other, turns=(HELLO, felt(2)))
    record = ScenarioRecord(**scenario().model_dump(), dialogues=(recorded,))
    assert record.dialogue(recorded).scenario.persona == other
    assert record.scenario.persona != other
    assert record.dialogue(recorded, until=1).turns == (HELLO,)

"""The rules in the module's text, against numbers worked out by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persuade_env.dialogue import Decision, Dialogue, PersuaderTurn
from persuade_env.rollout import rollout
from persuade_env.scenarios import load_corpus
from tests.helpers import ScriptedPersuader, scenario
from user_models import rule_based
from user_models.rule_based import RuleBasedUser

LEND = "I could lend you a tent and a warm sleeping bag."
WALK = "My neighbour would feed your dog and walk him."
FLATTERY = "You are the most wonderful person I have ever met."


def replies_to(*responses, user=None, seed=0, **kwargs):
    """The persuadee's turns when these responses are made one after the other."""
    user = user or RuleBasedUser()
    dialogue = Dialogue(scenario=scenario(**kwargs))
    turns = []
    for response in responses:
        dialogue = dialogue.extended(PersuaderTurn(response=response))
        (reply,) = user.reply([dialogue], [seed])
        turns.append(reply.turn)
        if reply.turn.decision is not Decision.CONTINUE:
            break
        dialogue = dialogue.extended(reply.turn)
    return turns


def test_settling_a_concern_closes_its_share_of_the_way():
    (turn,) = replies_to(LEND, stubbornness=0.5, initial_attitude=3.0)
    assert turn.attitude == pytest.approx(3 + (1 - 0.4 * 0.5) * (7 - 3) / 2)
    assert turn.concern == "dog"


def test_settling_all_of_them_is_accepted():
    assert replies_to(LEND, WALK)[-1].decision is Decision.ACCEPT


def test_a_concern_is_settled_once():
    first, again = replies_to(LEND, "You can have a tent and a sleeping bag from me, I lend them.")
    assert again.attitude < first.attitude


def test_repeating_yourself_does_not_help():
    first, second = replies_to(WALK, WALK)
    assert second.attitude == pytest.approx(first.attitude - 0.1 * 1.5)


def test_flattery_costs_a_little_and_then_ends_the_dialogue():
    turns = replies_to(*[f"{FLATTERY} {'Really. ' * n}" for n in range(4)], stubbornness=1.0)
    assert turns[0].attitude == pytest.approx(3 - 0.1 * 2)
    assert turns[-1].decision is Decision.REFUSE
    assert len(turns) == 3  # refuses after two idle turns


def test_what_makes_it_worse_costs_more():
    (turn,) = replies_to("Tents are cheap, just buy a cheap tent.", stubbornness=0.0)
    assert turn.attitude == pytest.approx(3 - 0.5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_noise_never_raises_the_attitude(texts):
    for turn in replies_to(*texts):
        assert turn.attitude <= 3.0


def test_it_is_a_function_of_the_persuader_s_responses():
    dialogue = Dialogue(scenario=scenario())
    for response in (FLATTERY, LEND):
        if dialogue.turns:
            forged = RuleBasedUser().reply([dialogue], [0])[0].turn
            dialogue = dialogue.extended(forged.model_copy(update={"attitude": 7.0}))
        dialogue = dialogue.extended(PersuaderTurn(response=response))
    (reply,) = RuleBasedUser().reply([dialogue], [0])
    assert reply.turn == replies_to(FLATTERY, LEND)[-1]


RESPONSES = st.sampled_from((LEND, WALK, FLATTERY, "", "Tents are cheap.")) | st.text(max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(RESPONSES, min_size=1, max_size=5), min_size=1, max_size=8), st.booleans())
def test_the_cache_changes_no_reply(conversations, small_cache):
    """Whatever other dialogues are in it, and however small it is."""
    same = scenario()
    with pytest.MonkeyPatch.context() as patch:
        if small_cache:
            patch.setattr(rule_based, "_CACHED_STATES", 2)
        user = RuleBasedUser()
        for responses in conversations:
            dialogue = Dialogue.model_construct(
                scenario=same,
                turns=tuple(PersuaderTurn(response=response) for response in responses),
            )
            assert user.reply([dialogue], [1]) == RuleBasedUser().reply([dialogue], [1])


def test_any_width_gives_the_same_replies():
    user = RuleBasedUser()
    dialogues = [
        Dialogue(scenario=record.scenario).extended(PersuaderTurn(response=record.facts[0]))
        for record in load_corpus()[:8]
    ]
    together = user.reply(dialogues, list(range(8)))
    alone = [
        RuleBasedUser().reply([dialogue], [seed])[0] for seed, dialogue in enumerate(dialogues)
    ]
    assert together == alone


def test_without_concerns_there_is_a_typed_error_and_the_others_go_on():
    bare = scenario("leisure-902").model_copy(update={"persona": None})
    turn = PersuaderTurn(response="Hi.")
    dialogues = [Dialogue(scenario=each).extended(turn) for each in (bare, scenario())]
    first, second = RuleBasedUser().reply(dialogues, [0, 0])
    assert first.error.kind == "user_model"
    assert second.turn is not None


def test_recorded_competent_persuaders_do_better_than_poor_ones():
    gains = {"competent": [], "poor": [], "mended": [], "harder": []}
    for record in load_corpus():
        for recorded in record.dialogues:
            script = [turn.response for turn in recorded.turns if turn.role == "persuader"]

            class Recorded(ScriptedPersuader):
                def act(self, dialogues, seeds, script=tuple(script)):
                    self.response = script[min(len(dialogues[0].persuader_turns), len(script) - 1)]
                    return super().act(dialogues, seeds)

            # A harder persuadee has a persona of their own.
            played = [record.dialogue(recorded).scenario]
            (episode,) = rollout(Recorded(), USER, played, [0], max_turns=len(script))
            gains[recorded.id].append(episode.attitude_gain)
    mean = {quality: sum(values) / len(values) for quality, values in gains.items()}
    assert mean["competent"] > 1.0
    assert mean["poor"] < 0.5


USER = RuleBasedUser()

"""Best of n against a user whose best turn is known."""

import pytest

from agents.persuaders.best_of_n import BestOfN
from experiments.common.resolve import resolve_agent_spec
from persuade_env.dialogue import Decision, Dialogue, PersuaderTurn
from persuade_env.errors import PersuaderError, UnknownNameError
from persuade_env.protocols import PersuaderReply, Usage, UserReply, persuader_view
from persuade_env.registry import load_persuader
from persuade_env.rollout import rollout
from tests.helpers import FAILURE, felt, scenario

WORDS = ("bad", "good", "worse", "broken", "better")


class Draws:
    """Says a word by its seed."""

    def __init__(self):
        self.calls = []

    def act(self, dialogues, seeds):
        self.calls.append(len(dialogues))
        return [
            PersuaderReply(
                turn=PersuaderTurn(response=WORDS[seed % len(WORDS)]), usage=Usage(10, 1)
            )
            for seed in seeds
        ]


class Knows:
    """Attitude by the last word; needs the persona, as the learned user does."""

    worth = {"bad": 3, "good": 4, "worse": 2, "better": 5}  # noqa: RUF012

    def __init__(self):
        self.calls = []

    def reply(self, dialogues, seeds):
        self.calls.append(len(dialogues))
        return [self._one(dialogue) for dialogue in dialogues]

    def _one(self, dialogue):
        assert dialogue.scenario.persona is not None
        word = dialogue.persuader_turns[-1].response
        if word == "broken":
            return UserReply(error=FAILURE)
        return UserReply(turn=felt(self.worth[word]))


def said(n, seed=0, **kwargs):
    agent = BestOfN(Draws(), Knows(), [scenario()], n=n, **kwargs)
    return agent, agent.act([persuader_view(Dialogue(scenario=scenario()))], [seed])[0]


def test_of_many_turns_the_best_is_said_and_all_are_paid_for():
    _, reply = said(40)
    assert reply.turn.response == "better"
    assert reply.usage == Usage(400, 40)


def test_one_of_one_is_the_persuader_itself():
    for seed in range(5):
        assert said(1, seed)[1].turn.response == WORDS[seed]


def test_a_failed_path_is_not_chosen_over_a_bad_one():
    assert {said(2, 3 + 5 * seed)[1].turn.response for seed in range(20)} - {"broken"}
    for seed in range(3, 100, 5):  # the first turn breaks the user model
        words = said(8, seed)[1].turn.response
        assert words != "broken"


def test_everything_is_tried_in_the_same_batches():
    agent = BestOfN(Draws(), Knows(), [scenario()], n=3, depth=2)
    dialogue = persuader_view(Dialogue(scenario=scenario()))
    agent.act([dialogue] * 2, [0, 1])
    assert agent.persuader.calls[0] == agent.user_model.calls[0] == 6
    assert len(agent.persuader.calls) == len(agent.user_model.calls) == 2


def test_an_end_counts_as_the_reward_says():
    class Leaves(Knows):
        def _one(self, dialogue):
            word = dialogue.persuader_turns[-1].response
            if word == "bad":
                return UserReply(turn=felt(2.5, Decision.REFUSE))
            return UserReply(turn=felt(2.25))

    # From 3, "bad" loses half a point and half of one for the refusal, the others three quarters.
    agent = BestOfN(Draws(), Leaves(), [scenario()], n=40)
    (reply,) = agent.act([persuader_view(Dialogue(scenario=scenario()))], [0])
    assert reply.turn.response != "bad"


def test_against_concerns_it_gains_more_than_what_it_is_built_on():
    from agents.persuaders.scripted import CONTROLS
    from persuade_env.scenarios import load_corpus
    from user_models.rule_based import RuleBasedUser

    class Facts:
        """States a fact by its seed."""

        def act(self, dialogues, seeds):
            return [
                PersuaderReply(
                    turn=PersuaderTurn(
                        response=dialogue.scenario.facts[seed % len(dialogue.scenario.facts)]
                    )
                )
                for dialogue, seed in zip(dialogues, seeds, strict=True)
            ]

    scenarios = [record.scenario for record in load_corpus("test")]

    def gain(agent):
        episodes = rollout(
            agent, RuleBasedUser(), scenarios, list(range(len(scenarios))), max_turns=3
        )
        return sum(one.attitude_gain for one in episodes) / len(episodes)

    plain = gain(Facts())
    assert gain(BestOfN(Facts(), RuleBasedUser(), load_corpus(), n=6)) > plain + 0.3
    assert gain(CONTROLS["silent"]()) < plain


def test_it_is_named_by_what_it_is_built_on(tmp_path):
    agent = load_persuader("best-of-3=naive@concerns")
    assert agent.n == 3
    (reply,) = agent.act([persuader_view(Dialogue(scenario=scenario()))], [0])
    assert reply.turn.response
    assert str(resolve_agent_spec(tmp_path, "best-of-4")) == (
        f"best-of-4=checkpoint={tmp_path / 'sft'}@learned={tmp_path / 'user-model'}"
    )
    with pytest.raises(UnknownNameError):
        load_persuader("best-of-many=naive@concerns")
    with pytest.raises(PersuaderError, match="at least 1"):
        BestOfN(Draws(), Knows(), n=0)

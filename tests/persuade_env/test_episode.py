import json

import pytest

from persuade_env.dialogue import Decision, PersuadeeTurn, PersuaderTurn
from persuade_env.episode import Episode, EpisodeStop, start, step
from persuade_env.errors import ChatError, PersuaderError, UserModelError
from persuade_env.protocols import PersuaderReply, persuader_view
from persuade_env.rewards import default_reward
from persuade_env.rollout import rollout
from persuade_env.seeding import derive_seed
from tests.helpers import FAILURE, ScriptedPersuader, ScriptedUser, felt, scenario, spoken


def played(user, n=3, **kwargs):
    scenarios = [scenario(f"leisure-90{i}") for i in range(n)]
    return rollout(ScriptedPersuader(), user, scenarios, list(range(n)), **kwargs)


def test_a_dialogue_ends_by_decision_or_by_the_turn_limit():
    ended = played(ScriptedUser(felt(4), felt(6, Decision.ACCEPT)))[0]
    assert (ended.stop, ended.turn, ended.terminated) == (EpisodeStop.ACCEPTED, 2, True)
    assert ended.episode_return == pytest.approx((6 - 3) + 0.5)
    assert ended.attitude_gain == 3
    cut = played(ScriptedUser(felt(4)), max_turns=3)[0]
    assert (cut.stop, cut.turn, cut.truncated) == (EpisodeStop.MAX_TURNS, 3, True)


def test_the_user_model_is_called_once_per_turn_for_all():
    user = ScriptedUser(felt(4), felt(6, Decision.ACCEPT))
    played(user, n=5)
    assert [len(call) for call in user.calls] == [5, 5]


def test_seeds_depend_on_episode_and_turn_alone():
    alone, many = ScriptedUser(felt(4)), ScriptedUser(felt(4))
    played(alone, n=1, max_turns=2)
    played(many, n=4, max_turns=2)
    assert [seeds[0] for seeds in alone.seeds] == [seeds[0] for seeds in many.seeds]
    assert alone.seeds[1][0] == derive_seed(0, "user", 1)


def test_the_user_hears_the_response_and_nothing_else():
    user = ScriptedUser(felt(4))
    turn = PersuaderTurn(analysis="she is weak", strategy="press", response="Come along.")
    step([start(scenario(), 0)], [PersuaderReply(turn=turn)], user, default_reward())
    heard = user.calls[0][0].model_dump_json()
    assert "Come along." in heard
    assert "weak" not in heard
    assert "press" not in heard


def test_the_persuader_sees_no_mind():
    episode = start(scenario(), 0)
    reply = PersuadeeTurn(attitude=2.5, tone="sad", response="No.", concern="tent")
    (moved,) = step([episode], [spoken("Hi.")], ScriptedUser(reply), default_reward())
    seen = persuader_view(moved.dialogue)
    assert seen.scenario.persona is None
    last = seen.turns[-1]
    assert (last.attitude, last.tone, last.concern, last.response) == (None, "", None, "No.")


def test_one_failure_leaves_the_others_alone():
    class HalfBroken(ScriptedUser):
        def _one(self, dialogue):
            if dialogue.scenario.id == "leisure-901":
                return type(self).__base__._one(ScriptedUser(FAILURE), dialogue)
            return super()._one(dialogue)

    good, bad, other = played(HalfBroken(felt(6, Decision.ACCEPT)))
    assert (good.valid, bad.valid, other.valid) == (True, False, True)
    assert (bad.error_kind, bad.reward, bad.truncated) == ("user_model", 0.0, True)
    assert bad.user_usage.prompt_tokens == 3


def test_a_persuader_error_and_a_raised_error_are_invalid_episodes():
    episodes = [start(scenario(), 0), start(scenario(), 1)]
    replies = [PersuaderReply(error=PersuaderError("no turn")), spoken("Hi.")]
    first, second = step(episodes, replies, ScriptedUser(felt(4)), default_reward())
    assert (first.error_kind, second.valid) == ("persuader", True)

    class Down:
        def reply(self, dialogues, seeds):
            raise ChatError("server is down")

    assert {one.error_kind for one in played(Down())} == {"chat"}


def test_a_user_model_that_miscounts_is_an_error():
    class Short:
        def reply(self, dialogues, seeds):
            return []

    with pytest.raises(UserModelError, match="asked for 1"):
        step([start(scenario(), 0)], [spoken("Hi.")], Short(), default_reward())


def test_an_episode_survives_json():
    for episode in played(ScriptedUser(felt(4), FAILURE)):
        assert Episode.from_json(json.loads(json.dumps(episode.to_json()))) == episode

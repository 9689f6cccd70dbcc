import re

import pytest

from persuade_env.dialogue import Decision, PersuaderTurn
from persuade_env.episode import EpisodeStop, start, start_from
from persuade_env.errors import PersuaderError, UserModelError
from persuade_env.rollout import acting, play, rollout
from persuade_env.seeding import derive_seed
from tests.helpers import FAILURE, ScriptedPersuader, ScriptedUser, felt, scenario, spoken

SCENARIOS = [scenario(f"leisure-{number:03d}") for number in range(3)]


def test_finished_episodes_drop_out_of_the_batches():
    class EndsFirst(ScriptedUser):
        def _one(self, dialogue):
            reply = super()._one(dialogue)
            if dialogue.scenario.id == "leisure-000":
                turn = felt(6, Decision.ACCEPT)
                return type(reply)(turn=turn)
            return reply

    user = EndsFirst(felt(4))
    episodes = rollout(ScriptedPersuader(), user, SCENARIOS, [0, 1, 2], max_turns=3)
    assert [len(call) for call in user.calls] == [3, 2, 2]
    assert [episode.stop for episode in episodes] == [
        EpisodeStop.ACCEPTED,
        EpisodeStop.MAX_TURNS,
        EpisodeStop.MAX_TURNS,
    ]


def test_each_episode_has_its_own_limit_of_turns():
    user = ScriptedUser(felt(4))
    episodes = [start(one, seed) for seed, one in enumerate(SCENARIOS)]
    played = play(episodes, acting(ScriptedPersuader()), user, max_turns=[1, 3, 2])
    assert [episode.turn for episode in played] == [1, 3, 2]


def test_seeds_are_the_episode_s_or_the_caller_s():
    user = ScriptedUser(felt(4))
    play([start(SCENARIOS[0], 7)], acting(ScriptedPersuader()), user, max_turns=2)
    assert user.seeds == [[derive_seed(7, "user", turn)] for turn in range(2)]
    other = ScriptedUser(felt(4))
    play(
        [start(SCENARIOS[0], 7)],
        acting(ScriptedPersuader()),
        other,
        max_turns=2,
        user_seed=lambda index, episode: 100 * index + episode.turn,
    )
    assert other.seeds == [[0], [1]]


def test_every_turn_is_told_in_order():
    told = []
    play(
        [start(one, seed) for seed, one in enumerate(SCENARIOS)],
        acting(ScriptedPersuader()),
        ScriptedUser(felt(4)),
        max_turns=2,
        on_turn=lambda index, reply, episode: told.append((index, episode.turn, reply.turn)),
    )
    assert [(index, turn) for index, turn, _ in told] == [(i, t) for t in (1, 2) for i in range(3)]


def test_a_persuader_that_raises_makes_what_is_running_invalid():
    def act(indices, episodes):
        if episodes[0].turn == 1:
            raise PersuaderError("out of words")
        return [spoken("Hello.") for _ in episodes]

    played = play([start(one, 0) for one in SCENARIOS], act, ScriptedUser(felt(4)), max_turns=3)
    assert {episode.error_kind for episode in played} == {"persuader"}
    assert {episode.turn for episode in played} == {2}


def test_a_failed_reply_costs_its_own_episode():
    class FailsOnce(ScriptedUser):
        def _one(self, dialogue):
            reply = super()._one(dialogue)
            failed = dialogue.scenario.id == "leisure-001"
            return type(reply)(error=FAILURE) if failed else reply

    played = rollout(ScriptedPersuader(), FailsOnce(felt(4)), SCENARIOS, [0, 1, 2], max_turns=2)
    assert [episode.valid for episode in played] == [True, False, True]


def test_an_episode_can_go_on_from_the_middle_of_a_dialogue():
    begun = (
        start(SCENARIOS[0], 0).dialogue.extended(PersuaderTurn(response="Hi.")).extended(felt(5))
    )
    (episode,) = play(
        [start_from(begun, 3)], acting(ScriptedPersuader()), ScriptedUser(felt(6)), max_turns=1
    )
    assert episode.turn == 1
    assert len(episode.dialogue.turns) == 4
    assert episode.reward_terms[0]["attitude_gain"] == pytest.approx(6 - 5)


class Gives:
    def __init__(self, replies):
        self.replies = replies

    def act(self, dialogues, seeds):
        return self.replies


def test_plain_text_is_speech():
    (episode,) = rollout(
        Gives(["Do come."]), ScriptedUser(felt(4)), SCENARIOS[:1], [0], max_turns=1
    )
    assert episode.dialogue.persuader_turns[0].response == "Do come."


@pytest.mark.parametrize(
    ("replies", "message"),
    [
        ([], "asked for 1 turns, the persuader's .* gave 0"),
        ("hello", "gave str; it has to return a list"),
        (None, "gave NoneType; it has to return a list"),
        ([7], r"gave a int; write PersuaderReply\(turn="),
    ],
)
def test_what_is_no_reply_is_said_in_one_line(replies, message):
    with pytest.raises(PersuaderError, match=message):
        rollout(Gives(replies), ScriptedUser(felt(4)), SCENARIOS[:1], [0], max_turns=1)


class Breaks:
    """Somebody's own class with a bug, as a persuader and as a user model."""

    def act(self, dialogues, seeds):
        return [dialogue.nosuch for dialogue in dialogues]

    def reply(self, dialogues, seeds):
        return {}["http://ann:s3cret@host/\x1b[2J"]


def test_a_bug_in_somebody_s_own_class_ends_the_run_with_what_and_where():
    with pytest.raises(PersuaderError) as caught:
        rollout(Breaks(), ScriptedUser(felt(4)), SCENARIOS[:1], [0])
    assert re.fullmatch(
        r"the persuader's act raised AttributeError: 'Dialogue' object has no attribute 'nosuch' "
        r"\(\w+\.py:\d+\)",
        str(caught.value),
    )
    assert isinstance(caught.value.__cause__, AttributeError)
    with pytest.raises(UserModelError, match=r"reply raised KeyError: 'http://host/") as caught:
        rollout(ScriptedPersuader(), Breaks(), SCENARIOS[:1], [0])
    assert str(caught.value).isprintable()


class Answers:
    def __init__(self, replies):
        self.replies = replies

    def reply(self, dialogues, seeds):
        return self.replies


@pytest.mark.parametrize(
    ("replies", "message"),
    [
        ([], "asked for 1 replies, the user model gave 0; reply"),
        ("hello", "gave str; reply"),
        (None, "gave NoneType; reply"),
        ([felt(4)], r"gave a PersuadeeTurn; write UserReply\(turn="),
    ],
)
def test_a_user_model_s_wrong_answer_is_said_in_one_line(replies, message):
    with pytest.raises(UserModelError, match=message):
        rollout(ScriptedPersuader(), Answers(replies), SCENARIOS[:1], [0], max_turns=1)

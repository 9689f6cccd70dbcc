from agents.preferences.lookahead import look_ahead
from persuade_env.dialogue import Decision, Dialogue
from persuade_env.errors import PersuaderError
from persuade_env.protocols import PersuaderReply
from persuade_env.seeding import derive_seed
from tests.helpers import ScriptedPersuader, ScriptedUser, felt, scenario, spoken

DIALOGUE = Dialogue(scenario=scenario())


def test_the_given_reply_is_said_first_and_the_persuader_goes_on():
    user = ScriptedUser(felt(4))
    (episode,) = look_ahead(
        [DIALOGUE], [spoken("First.")], [5], ScriptedPersuader("Then."), user, depth=2
    )
    assert [turn.response for turn in episode.dialogue.persuader_turns] == ["First.", "Then."]
    assert user.seeds == [[derive_seed(5, "user", 0)], [derive_seed(5, "user", 1)]]


def test_a_dialogue_ends_at_its_limit_whatever_was_said_before():
    begun = DIALOGUE.extended(spoken("Hi.").turn).extended(felt(4))
    user = ScriptedUser(felt(4))
    episodes = look_ahead(
        [DIALOGUE, begun, begun.extended(spoken("So?").turn).extended(felt(4))],
        [spoken("First.")] * 3,
        [0, 1, 2],
        ScriptedPersuader(),
        user,
        depth=2,
        max_turns=2,
    )
    # The given reply is said even where the limit was reached before it.
    assert [episode.turn for episode in episodes] == [2, 1, 1]
    assert [len(call) for call in user.calls] == [3, 1]


def test_an_end_and_an_error_stop_their_own_path():
    failed = PersuaderReply(error=PersuaderError("nothing"))
    user = ScriptedUser(felt(6, Decision.ACCEPT))
    ended, broken = look_ahead(
        [DIALOGUE] * 2, [spoken("Hi."), failed], [0, 0], ScriptedPersuader(), user, depth=3
    )
    assert (ended.turn, ended.valid) == (1, True)
    assert (broken.valid, broken.error_kind) == (False, "persuader")
    assert [len(call) for call in user.calls] == [1]

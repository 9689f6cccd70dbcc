"""The probes ask at the right places, and carry what a user model felt."""

from copy import copy

import pytest

from experiments.fidelity.probes.replay import (
    AttitudeOnlyUser,
    attitude_only,
    replayed_dialogues,
    teacher_forced_replies,
)
from persuade_env.dialogue import (
    Decision,
    PersuadeeTurn,
    PersuaderTurn,
    RecordedDialogue,
    ScenarioRecord,
)
from persuade_env.protocols import UserReply
from persuade_env.text.embedding import Embedder
from tests.helpers import FAILURE, Deaf, felt, scenario
from user_models.learned.attitude_model import STANCE_FEATURES, Argument, AttitudeModel
from user_models.learned.plausibility import PlausibilityModel
from user_models.learned.semantic_embedding import CommonComponents
from user_models.learned.user import LearnedUser
from user_models.rule_based import ConcernsUser


def persuader(words: str) -> PersuaderTurn:
    return PersuaderTurn(response=words, strategy="lend the tent", analysis="private")


def person(words: str, attitude: float | None = None) -> PersuadeeTurn:
    return PersuadeeTurn(response=words, attitude=attitude)


def record(name: str, *turns, did: bool | None = None) -> ScenarioRecord:
    one = RecordedDialogue(id="d", turns=turns, outcome_label=did)
    return ScenarioRecord(**scenario(name).model_dump(), dialogues=(one,))


LONG = record(
    "leisure-1",
    person("Hello."),
    persuader("Come camping."),
    person("Where to?"),
    persuader("To the lake."),
    person("No tent."),
    persuader("Take mine."),
    did=True,
)
SHORT = record("leisure-2", persuader("Come."), person("No."), did=False)
TOLD = record("leisure-3", persuader("Come."), person("Hm.", 3.5), persuader("Do."), person("Ok."))


class Rising:
    """Half a point up from where it thinks it is, and says it accepts at a turn."""

    def __init__(self, accepts_at: int = 0, fails_at: int = 0) -> None:
        self.accepts_at, self.fails_at = accepts_at, fails_at
        self.heard = []

    def reply(self, dialogues, seeds):
        self.heard += dialogues
        return [self.one(dialogue) for dialogue in dialogues]

    def one(self, dialogue):
        turn = len(dialogue.persuader_turns)
        if turn == self.fails_at:
            return UserReply(error=FAILURE)
        accepts = Decision.ACCEPT if turn == self.accepts_at else Decision.CONTINUE
        return UserReply(turn=felt(dialogue.attitude + 0.5, accepts, "My own words."))


def test_forced_replies_stand_beside_what_was_said_there():
    user = Rising()
    found, failed = teacher_forced_replies(user, [LONG, TOLD], 0)
    assert failed == 0
    # Not "Hello.", which answers nothing.
    assert [one.recorded.response for one in found] == ["Where to?", "No tent.", "Hm.", "Ok."]
    assert [one.attitude for one in found] == [3.0, 3.0, 3.0, 3.5]
    assert {one.simulated.response for one in found} == {"My own words."}
    assert all(dialogue.turns[-1].role == "persuader" for dialogue in user.heard)
    assert all(turn.analysis == "" for one in user.heard for turn in one.persuader_turns)


def test_failed_replies_are_counted():
    found, failed = teacher_forced_replies(Rising(fails_at=1), [LONG, SHORT], 0)
    assert (len(found), failed) == (1, 2)
    along, broken = replayed_dialogues(Rising(fails_at=2), [LONG, SHORT], 0)
    assert ([one.scenario for one in along], broken) == (["leisure-2"], 1)


def test_along_a_dialogue_the_attitude_is_the_users_own_and_the_words_the_persons():
    user = Rising(accepts_at=2)
    asked = []
    (long, short), failed = replayed_dialogues(user, [LONG, SHORT, TOLD], 0, asked.append)
    assert failed == 0
    assert sum(asked) == 4  # three persuader turns and one; TOLD has no outcome
    last = max(user.heard, key=lambda one: len(one.turns))
    assert [turn.response for turn in last.turns] == [
        turn.response for turn in LONG.dialogues[0].turns
    ]
    assert [turn.attitude for turn in last.persuadee_turns] == [None, 3.5, 4.0]
    # It would have accepted; the person went on, and so did it.
    assert {turn.decision for turn in last.persuadee_turns} == {Decision.CONTINUE}
    assert (long.attitude, long.initial_attitude, long.decision) == (4.5, 3.0, Decision.ACCEPT)
    assert (short.attitude, short.decision) == (3.5, Decision.CONTINUE)
    assert (long.did, short.did) == (True, False)
    assert long.words == "Hello. Where to? No tent."


DEAF = Deaf(0.0)

MIND = AttitudeModel(
    common=CommonComponents(mean=(0.0,), directions=()),
    plausibility=PlausibilityModel(),
    argument=Argument(
        weights=tuple(
            2.0 if name == "settles_over_worsens_by_words" else 0.0 for name in STANCE_FEATURES
        ),
        cumulative_weights=(0.0, 0.0),
        delivery_weights=(0.0,),
        delivery_intercept=0.0,
    ),
    reaction_weights=(0.0,),
    reaction_intercept=-0.2,
    ending_classes=("accept", "continue", "refuse"),
    ending_weights=((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0), (-1.0, 0.0, 0.0, 0.0)),
    ending_intercepts=(-4.0, 0.0, 2.0),
)


def test_a_mind_decides_as_it_hears_and_says_that_it_knows_no_mind():
    said = LONG.dialogue(LONG.dialogues[0], until=2)
    bare = said.model_copy(update={"scenario": scenario(concerns=())})
    first, second = AttitudeOnlyUser(MIND, DEAF).reply([bare, said], [1, 7])
    assert first.error is not None
    ((attitude, decision),) = MIND.predict([said], [7], Embedder(), DEAF)
    assert (second.turn.attitude, second.turn.decision) == (attitude, decision)


def test_only_a_learned_users_mind_may_go_without_words():
    learned = object.__new__(LearnedUser)  # no language model is asked here
    learned.attitude_model, learned.encoder, learned.n_drafts = MIND, DEAF, 4
    undecided = copy(learned)
    undecided.attitude_model = None
    spared = attitude_only(learned, [LONG])
    assert isinstance(spared, AttitudeOnlyUser)
    assert spared.attitude_model is MIND
    strange = LONG.model_copy(update={"persona": None})
    for user, records in ((learned, [LONG, strange]), (undecided, [LONG])):
        asked = attitude_only(user, records)
        assert isinstance(asked, LearnedUser)
        assert (asked.attitude_model, asked.n_drafts, user.n_drafts) == (user.attitude_model, 1, 4)
    other = ConcernsUser()
    assert attitude_only(other, [LONG]) is other


@pytest.mark.parametrize("user", [ConcernsUser(), AttitudeOnlyUser(MIND, DEAF)])
def test_the_same_seed_gives_the_same_course(user):
    assert replayed_dialogues(user, [LONG, SHORT], 3) == replayed_dialogues(user, [LONG, SHORT], 3)

"""The probes query at the right points, and carry the user model's own attitudes."""

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
from tests.helpers import FAILURE, ConstantEncoder, felt, scenario
from user_models.learned.attitude_model import Argument, AttitudeModel
from user_models.learned.features import STANCE_FEATURES
from user_models.learned.plausibility import PlausibilityModel
from user_models.learned.semantic_embedding import CommonComponents
from user_models.learned.user import LearnedUser
from user_models.rule_based import RuleBasedUser


def persuader(words: str) -> PersuaderTurn:
    return PersuaderTurn(response=words, strategy="lend the tent", analysis="private")


def person(words: str, attitude: float | None = None) -> PersuadeeTurn:
    return PersuadeeTurn(response=words, attitude=attitude)


def record(name: str, *turns, outcome_label: bool | None = None) -> ScenarioRecord:
    recorded = RecordedDialogue(id="d", turns=turns, outcome_label=outcome_label)
    return ScenarioRecord(**scenario(name).model_dump(), dialogues=(recorded,))


LONG = record(
    "leisure-1",
    person("Hello."),
    persuader("Come camping."),
    person("Where to?"),
    persuader("To the lake."),
    person("No tent."),
    persuader("Take mine."),
    outcome_label=True,
)
SHORT = record("leisure-2", persuader("Come."), person("No."), outcome_label=False)
WITHOUT_LABEL = record(
    "leisure-3", persuader("Come."), person("Hm.", 3.5), persuader("Do."), person("Ok.")
)


class Rising:
    """Rises by half a point each turn, and accepts at one turn."""

    def __init__(self, accepts_at: int = 0, fails_at: int = 0) -> None:
        self.accepts_at, self.fails_at = accepts_at, fails_at
        self.dialogues = []

    def reply(self, dialogues, seeds):
        self.dialogues += dialogues
        return [self.answer(dialogue) for dialogue in dialogues]

    def answer(self, dialogue):
        turn = len(dialogue.persuader_turns)
        if turn == self.fails_at:
            return UserReply(error=FAILURE)
        accepts = Decision.ACCEPT if turn == self.accepts_at else Decision.CONTINUE
        return UserReply(turn=felt(dialogue.attitude + 0.5, accepts, "My own words."))


def test_forced_replies_are_paired_with_the_recorded_turns():
    user = Rising()
    replies, failed = teacher_forced_replies(user, [LONG, WITHOUT_LABEL], 0)
    assert failed == 0
    # Not "Hello.", which answers nothing.
    assert [reply.recorded.response for reply in replies] == ["Where to?", "No tent.", "Hm.", "Ok."]
    assert [reply.attitude for reply in replies] == [3.0, 3.0, 3.0, 3.5]
    assert {reply.simulated.response for reply in replies} == {"My own words."}
    for dialogue in user.dialogues:
        assert dialogue.turns[-1].role == "persuader"
        assert all(turn.analysis == "" for turn in dialogue.persuader_turns)


def test_failed_replies_are_counted():
    replies, failed = teacher_forced_replies(Rising(fails_at=1), [LONG, SHORT], 0)
    assert (len(replies), failed) == (1, 2)
    (replayed,), failed = replayed_dialogues(Rising(fails_at=2), [LONG, SHORT], 0)
    assert (replayed.scenario, failed) == ("leisure-2", 1)


def test_a_replay_has_the_users_own_attitudes_and_the_persons_words():
    user = Rising(accepts_at=2)
    counts = []
    (long, short), failed = replayed_dialogues(user, [LONG, SHORT, WITHOUT_LABEL], 0, counts.append)
    assert failed == 0
    assert sum(counts) == 4  # persuader turns of the dialogues with an outcome label
    last = max(user.dialogues, key=lambda dialogue: len(dialogue.turns))
    assert [turn.response for turn in last.turns] == [
        turn.response for turn in LONG.dialogues[0].turns
    ]
    assert [turn.attitude for turn in last.persuadee_turns] == [None, 3.5, 4.0]
    # Its acceptance does not end the replay, since the person went on.
    assert {turn.decision for turn in last.persuadee_turns} == {Decision.CONTINUE}
    assert (long.attitude, long.initial_attitude, long.decision) == (4.5, 3.0, Decision.ACCEPT)
    assert (short.attitude, short.decision) == (3.5, Decision.CONTINUE)
    assert (long.outcome_label, short.outcome_label) == (True, False)
    assert long.persuadee_text == "Hello. Where to? No tent."


ENCODER = ConstantEncoder(0.0)

ATTITUDE_MODEL = AttitudeModel(
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


def test_an_attitude_model_alone_needs_concerns():
    dialogue = LONG.dialogue(LONG.dialogues[0], until=2)
    bare = dialogue.model_copy(update={"scenario": scenario(concerns=())})
    first, second = AttitudeOnlyUser(ATTITUDE_MODEL, ENCODER).reply([bare, dialogue], [1, 7])
    assert first.error is not None
    ((attitude, decision),) = ATTITUDE_MODEL.predict([dialogue], [7], Embedder(), ENCODER)
    assert (second.turn.attitude, second.turn.decision) == (attitude, decision)


def test_only_a_learned_user_is_reduced_to_its_attitude_model():
    learned = object.__new__(LearnedUser)  # no language model is used here
    learned.attitude_model, learned.encoder, learned.n_drafts = ATTITUDE_MODEL, ENCODER, 4
    without_model = copy(learned)
    without_model.attitude_model = None
    reduced = attitude_only(learned, [LONG])
    assert isinstance(reduced, AttitudeOnlyUser)
    assert reduced.attitude_model is ATTITUDE_MODEL
    bare = LONG.model_copy(update={"persona": None})
    for user, records in ((learned, [LONG, bare]), (without_model, [LONG])):
        quick = attitude_only(user, records)
        assert isinstance(quick, LearnedUser)
        assert (quick.attitude_model, quick.n_drafts, user.n_drafts) == (user.attitude_model, 1, 4)
    other = RuleBasedUser()
    assert attitude_only(other, [LONG]) is other


@pytest.mark.parametrize("user", [RuleBasedUser(), AttitudeOnlyUser(ATTITUDE_MODEL, ENCODER)])
def test_the_same_seed_gives_the_same_replay(user):
    assert replayed_dialogues(user, [LONG, SHORT], 3) == replayed_dialogues(user, [LONG, SHORT], 3)

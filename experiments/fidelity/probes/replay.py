"""Whether a user model is like people: what it says in their place, and where it ends up with them.

Everything here only asks the user model, at places of recorded dialogues, and writes down what it
answered; `experiments.fidelity.language_measures` puts intervals to it and says what passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

from persuade_env.dialogue import (
    Decision,
    Dialogue,
    PersuadeeTurn,
    PersuaderTurn,
    RecordedDialogue,
    ScenarioRecord,
)
from persuade_env.errors import UserModelError
from persuade_env.protocols import UserModel, UserReply
from persuade_env.seeding import derive_seed
from persuade_env.text.embedding import Embedder
from user_models.learned.attitude_model import AttitudeModel, has_concerns
from user_models.learned.encoder import TurnEncoder
from user_models.learned.user import LearnedUser
from user_models.querying import Progress, answers, ask


@dataclass(frozen=True)
class TeacherForcedReply:
    """What a person said at a place of a recorded dialogue, and what the user model says there."""

    scenario: str
    recorded: PersuadeeTurn
    simulated: PersuadeeTurn
    attitude: float
    """Before both, 1 to 7."""


@dataclass(frozen=True)
class ReplayedDialogue:
    """A recorded dialogue heard to its end by a user model, and what the person then did."""

    scenario: str
    did: bool
    """The dialogue's `outcome_label`."""
    initial_attitude: float
    attitude: float
    """The user model's after the last persuader turn, 1 to 7."""
    decision: Decision
    """Its first one other than `continue`: how it would have ended the dialogue itself."""
    words: str
    """What the person said, all of it."""


class AttitudeOnlyUser:
    """A learned user's mind without a language model: its attitudes and decisions, and no words."""

    def __init__(self, attitude_model: AttitudeModel, encoder: TurnEncoder) -> None:
        self.attitude_model = attitude_model
        self.encoder = encoder
        self._embed = Embedder()

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        """See `UserModel.reply`. A scenario without a persona with concerns gives an error."""
        heard = [index for index, one in enumerate(dialogues) if has_concerns(one)]
        states = {}
        if heard:
            found = self.attitude_model.predict(
                [dialogues[index] for index in heard],
                [seeds[index] for index in heard],
                self._embed,
                self.encoder,
            )
            states = dict(zip(heard, found, strict=True))
        return [_wordless(states.get(index)) for index in range(len(dialogues))]


def _wordless(state: tuple[float, Decision] | None) -> UserReply:
    if state is None:
        return UserReply(error=UserModelError("a mind needs a persona with concerns"))
    return UserReply(turn=PersuadeeTurn(attitude=state[0], response="…", decision=state[1]))


def attitude_only(user_model: UserModel, records: Sequence[ScenarioRecord]) -> UserModel:
    """Something that feels and decides as the user model does in these records, faster if it can.

    A learned user's attitude and decision are its mind's wherever a persona has concerns, so its
    language model need not be asked for them; elsewhere it need not choose its words. Any other
    user model is given back.
    """
    minded = all(
        has_concerns(record.dialogue(one)) for record in records for one in record.dialogues
    )
    if (
        isinstance(user_model, LearnedUser)
        and user_model.attitude_model is not None
        and user_model.encoder is not None
        and minded
    ):
        return AttitudeOnlyUser(user_model.attitude_model, user_model.encoder)
    if isinstance(user_model, LearnedUser):
        user_model = copy(user_model)
        user_model.n_drafts = 1
    return user_model


def teacher_forced_replies(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    seed: int,
    progress: Progress = lambda _: None,
) -> tuple[list[TeacherForcedReply], int]:
    """Asks the user model for every recorded persuadee turn that answers something.

    Each is asked for given all that was said before it as recorded, so that the two turns differ
    by who speaks alone.

    Returns:
        The replies, and how many the user model failed at (they are left out).
    """
    places = answers(records)
    seeds = [derive_seed(seed, "forced", index) for index in range(len(places))]
    replies = ask(user_model, [said for *_, said in places], seeds, progress)
    found = [
        TeacherForcedReply(record.id, turn, reply.turn, said.attitude)
        for (record, turn, said), reply in zip(places, replies, strict=True)
        if reply.turn is not None
    ]
    return found, len(places) - len(found)


def replayed_dialogues(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    seed: int,
    progress: Progress = lambda _: None,
) -> tuple[list[ReplayedDialogue], int]:
    """Leads the user model along each recorded dialogue whose outcome is known.

    It is asked after every persuader turn. What people felt isn't told, so the attitudes before
    are the user model's own, turn by turn, on the words that the person said. Where it would have
    ended the dialogue, the person went on, and so does it.

    Returns:
        One entry for each dialogue, and how many the user model failed in (they are left out).
    """
    courses = [
        _Course(record, recorded, recorded.outcome_label)
        for record in records
        for recorded in record.dialogues
        if recorded.outcome_label is not None
        and any(isinstance(turn, PersuaderTurn) for turn in recorded.turns)
    ]
    given: list[list[PersuadeeTurn]] = [[] for _ in courses]
    failed: set[int] = set()
    for turn in range(max((course.length for course in courses), default=0)):
        running = [
            index
            for index, course in enumerate(courses)
            if turn < course.length and index not in failed
        ]
        contexts = [courses[index].heard(given[index]) for index in running]
        seeds = [derive_seed(seed, "followed", courses[index].name, turn) for index in running]
        replies = ask(user_model, contexts, seeds, progress)
        for index, reply in zip(running, replies, strict=True):
            if reply.turn is None or reply.turn.attitude is None:
                failed.add(index)
            else:
                given[index].append(reply.turn)
    found = [
        course.ended(said)
        for index, (course, said) in enumerate(zip(courses, given, strict=True))
        if index not in failed
    ]
    return found, len(failed)


@dataclass(frozen=True)
class _Course:
    """A recorded dialogue to be followed."""

    record: ScenarioRecord
    recorded: RecordedDialogue
    did: bool

    @property
    def name(self) -> str:
        return f"{self.record.id}/{self.recorded.id}"

    @property
    def length(self) -> int:
        return sum(isinstance(turn, PersuaderTurn) for turn in self.recorded.turns)

    def heard(self, answers: Sequence[PersuadeeTurn]) -> Dialogue:
        """Up to the persuader turn after the answers, their attitudes on the person's words."""
        turns: list[PersuaderTurn | PersuadeeTurn] = []
        listened = 0
        for turn in self.recorded.turns:
            if isinstance(turn, PersuaderTurn):
                turns.append(turn)
                if listened == len(answers):
                    break
                listened += 1
            elif listened:
                own = answers[listened - 1].attitude
                turns.append(
                    turn.model_copy(update={"attitude": own, "decision": Decision.CONTINUE})
                )
            else:  # the person opened the dialogue
                turns.append(turn)
        scenario = self.record.dialogue(self.recorded, until=0).scenario
        return Dialogue.model_construct(scenario=scenario, turns=tuple(turns))

    def ended(self, answers: Sequence[PersuadeeTurn]) -> ReplayedDialogue:
        """After all answers were given."""
        start = self.record.dialogue(self.recorded, until=0).scenario.initial_attitude
        last = answers[-1].attitude
        decisions = (one.decision for one in answers if one.decision is not Decision.CONTINUE)
        return ReplayedDialogue(
            self.record.id,
            self.did,
            start,
            start if last is None else last,
            next(decisions, Decision.CONTINUE),
            " ".join(turn.response for turn in self.recorded.turns if turn.role == "persuadee"),
        )

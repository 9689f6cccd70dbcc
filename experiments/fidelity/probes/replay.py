"""Probes of a user model along recorded dialogues: teacher-forced replies and replayed outcomes.

The probes only collect the user model's replies; `experiments.fidelity.language_measures` and
`experiments.fidelity.outcome_measures` compute measures from them.
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
from persuade_env.episode import Episode, start_from
from persuade_env.errors import UserModelError
from persuade_env.protocols import PersuaderReply, UserModel, UserReply
from persuade_env.rollout import play
from persuade_env.seeding import derive_seed
from persuade_env.text.embedding import Embedder
from user_models.learned.attitude_predictor import AttitudePredictor
from user_models.learned.encoder import TurnEncoder
from user_models.learned.features import has_concerns
from user_models.learned.user import LearnedUser
from user_models.querying import Progress, ask, recorded_answers


@dataclass(frozen=True)
class TeacherForcedReply:
    """A recorded persuadee turn, and the user model's reply to the same dialogue before it."""

    scenario: str
    recorded: PersuadeeTurn
    simulated: PersuadeeTurn
    attitude: float
    """Before both turns, 1 to 7."""


@dataclass(frozen=True)
class ReplayedDialogue:
    """A user model's course through a recorded dialogue, and what the person did after it.

    >>> end = 4.5, Decision.CONTINUE
    >>> ReplayedDialogue("p4g-1", True, 3.0, *end, persuadee_text="I will give.").attitude
    4.5
    """

    scenario: str
    outcome_label: bool
    """Whether the person did what the persuader asked for, as recorded."""
    initial_attitude: float
    attitude: float
    """The user model's, after the last persuader turn, 1 to 7."""
    decision: Decision
    """The user model's first one other than `continue`, if any."""
    persuadee_text: str
    """All of the person's responses."""


class AttitudeOnlyUser:
    """A learned user's attitude model without its chat model: attitudes and decisions, no words.

    Args:
        attitude_model: of the learned user.
        encoder: of the learned user.
    """

    def __init__(self, attitude_model: AttitudePredictor, encoder: TurnEncoder) -> None:
        self.attitude_model = attitude_model
        self.encoder = encoder
        self._embed = Embedder()

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        """See `UserModel.reply`. A scenario without a persona with concerns gives an error."""
        predictable = [index for index, dialogue in enumerate(dialogues) if has_concerns(dialogue)]
        states = {}
        if predictable:
            predicted = self.attitude_model.predict(
                [dialogues[index] for index in predictable],
                [seeds[index] for index in predictable],
                self._embed,
                self.encoder,
            )
            states = dict(zip(predictable, predicted, strict=True))
        return [_reply_without_words(states.get(index)) for index in range(len(dialogues))]


def _reply_without_words(state: tuple[float, Decision] | None) -> UserReply:
    if state is None:
        return UserReply(error=UserModelError("an attitude model needs a persona with concerns"))
    return UserReply(turn=PersuadeeTurn(attitude=state[0], response="…", decision=state[1]))


def attitude_only(user_model: UserModel, records: Sequence[ScenarioRecord]) -> UserModel:
    """A user model with the same attitudes and decisions in these records, faster if possible.

    A learned user's attitude and decision come from its attitude model wherever a persona has
    concerns, so that its chat model is not needed; elsewhere one draft of the words is enough. Any
    other user model is returned as it is.
    """
    predictable = all(
        has_concerns(record.dialogue(recorded))
        for record in records
        for recorded in record.dialogues
    )
    if (
        isinstance(user_model, LearnedUser)
        and user_model.attitude_model is not None
        and user_model.encoder is not None
        and predictable
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
    """Queries the user model at every recorded persuadee turn that answers the persuader.

    The dialogue before each is the recorded one (teacher forcing).

    Returns:
        The replies, and the number of failed ones (they are left out).
    """
    points = recorded_answers(records)
    seeds = [derive_seed(seed, "forced", index) for index in range(len(points))]
    replies = ask(user_model, [dialogue for *_, dialogue in points], seeds, progress)
    forced = [
        TeacherForcedReply(record.id, turn, reply.turn, dialogue.attitude)
        for (record, turn, dialogue), reply in zip(points, replies, strict=True)
        if reply.turn is not None
    ]
    return forced, len(points) - len(forced)


def replayed_dialogues(
    user_model: UserModel,
    records: Sequence[ScenarioRecord],
    seed: int,
    progress: Progress = lambda _: None,
) -> tuple[list[ReplayedDialogue], int]:
    """Replays each recorded dialogue whose outcome is known, with the user model's attitudes.

    The user model is queried after every persuader turn. The persuadee turns before have the
    person's words and the user model's own earlier attitudes, since the person's are not recorded.
    Its decisions don't end the dialogue.

    Returns:
        One entry for each dialogue, and the number of those in which the user model failed (they
        are left out).
    """
    replays = [
        _Replay(record, recorded, recorded.outcome_label)
        for record in records
        for recorded in record.dialogues
        if recorded.outcome_label is not None
        and any(isinstance(turn, PersuaderTurn) for turn in recorded.turns)
    ]
    answers: list[list[PersuadeeTurn]] = [[] for _ in replays]

    def act(indices: Sequence[int], running: Sequence[Episode]) -> list[PersuaderReply]:
        return [
            PersuaderReply(turn=replays[index].persuader_turns[episode.turn])
            for index, episode in zip(indices, running, strict=True)
        ]

    def recorded_words(index: int, reply: UserReply) -> UserReply:
        """The person's words with the model's attitude, which its next answer builds on."""
        if reply.turn is None or reply.turn.attitude is None:
            return UserReply(error=reply.error or UserModelError("the reply has no attitude"))
        answers[index].append(reply.turn)
        following = replays[index].answer_to(len(answers[index])) or reply.turn
        return UserReply(
            turn=following.model_copy(
                update={"attitude": reply.turn.attitude, "decision": Decision.CONTINUE}
            )
        )

    episodes = play(
        [start_from(replay.beginning, seed) for replay in replays],
        act,
        user_model,
        max_turns=[len(replay.persuader_turns) for replay in replays],
        user_seed=lambda index, episode: derive_seed(
            seed, "followed", replays[index].name, episode.turn
        ),
        edit_reply=recorded_words,
        on_turn=lambda index, reply, episode: progress(1),
    )
    replayed = [
        replay.result(turns)
        for replay, turns, episode in zip(replays, answers, episodes, strict=True)
        if episode.valid
    ]
    return replayed, len(replays) - len(replayed)


@dataclass(frozen=True)
class _Replay:
    """A recorded dialogue that is replayed."""

    record: ScenarioRecord
    recorded: RecordedDialogue
    outcome_label: bool

    @property
    def name(self) -> str:
        return f"{self.record.id}/{self.recorded.id}"

    @property
    def persuader_turns(self) -> list[PersuaderTurn]:
        return [turn for turn in self.recorded.turns if isinstance(turn, PersuaderTurn)]

    @property
    def beginning(self) -> Dialogue:
        """What was said before the persuader's first turn: the person may have opened."""
        first = next(
            index for index, turn in enumerate(self.recorded.turns) if turn.role == "persuader"
        )
        return self.record.dialogue(self.recorded, until=first)

    def answer_to(self, number: int) -> PersuadeeTurn | None:
        """The person's answer to the persuader turn of this number (from 1), if there is one."""
        seen = 0
        for turn in self.recorded.turns:
            seen += isinstance(turn, PersuaderTurn)
            if seen == number and isinstance(turn, PersuadeeTurn):
                return turn
        return None

    def result(self, answers: Sequence[PersuadeeTurn]) -> ReplayedDialogue:
        """The replayed dialogue with all answers of the user model."""
        start = self.record.dialogue(self.recorded, until=0).scenario.initial_attitude
        last = answers[-1].attitude
        decisions = (turn.decision for turn in answers if turn.decision is not Decision.CONTINUE)
        return ReplayedDialogue(
            self.record.id,
            self.outcome_label,
            start,
            start if last is None else last,
            next(decisions, Decision.CONTINUE),
            " ".join(turn.response for turn in self.recorded.turns if turn.role == "persuadee"),
        )

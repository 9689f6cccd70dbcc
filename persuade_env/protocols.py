"""What a user model, a persuader, a judge and a chat model have to do.

All of them take and give batches; one dialogue is a batch of one. None may keep
state that changes an answer: the same dialogues and seeds give the same replies,
at least at the same batch width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Protocol, TypedDict, runtime_checkable

from persuade_env.dialogue import Dialogue, PersuadeeTurn, PersuaderTurn, Scenario
from persuade_env.errors import PersuadeError

Message = Mapping[str, str]
"""A chat message: `{"role": "system" | "user" | "assistant", "content": ...}`."""


class StopReason(StrEnum):
    """Why a model stopped writing."""

    STOP = "stop"
    """It ended its turn itself."""
    LENGTH = "length"
    """`max_reply_tokens` were written."""
    CONTEXT = "context"
    """The prompt and the reply fill `max_context_tokens`."""


@dataclass(frozen=True)
class Completion:
    """What a chat model wrote, and what it cost.

    `token_ids` and `logprobs` have the same length n: the sampled ids (the end token
    included) and the natural log-probability of each under the model at the sampling
    temperature, before top-k and top-p cut the tail. Backends that can't tell
    (HTTP) leave both empty, and `prompt_ids` too.
    """

    text: str
    stop_reason: StopReason
    prompt_tokens: int
    completion_tokens: int
    prompt_ids: tuple[int, ...] = ()
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    choices: tuple[Mapping[int, float], ...] = ()
    """The model's distribution over the allowed ids at each constrained step."""
    error: PersuadeError | None = None
    """Why this prompt alone got no answer; the text is then empty."""


@dataclass(frozen=True)
class Usage:
    """Cost of one turn; zero for anything that doesn't run a language model."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True)
class UserReply:
    """What a user model gives for one dialogue: a turn, or the error that prevented it.

    Exactly one of `turn` and `error` is set. An error is data here: it truncates its
    own episode as invalid and leaves the rest of the batch alone.
    """

    turn: PersuadeeTurn | None = None
    error: PersuadeError | None = None
    usage: Usage = field(default=Usage())

    def __post_init__(self) -> None:
        if (self.turn is None) == (self.error is None):
            raise ValueError("a UserReply holds either a turn or an error")


@dataclass(frozen=True)
class PersuaderReply:
    """What a persuader gives for one dialogue: a turn, or the error that prevented it.

    `malformed` says that the text did not follow the format, also after its one
    repair; the turn then holds what could be read of it. `completion` keeps what was
    sampled, for training.
    """

    turn: PersuaderTurn | None = None
    error: PersuadeError | None = None
    usage: Usage = field(default=Usage())
    malformed: bool = False
    completion: Completion | None = None

    def __post_init__(self) -> None:
        if (self.turn is None) == (self.error is None):
            raise ValueError("a PersuaderReply holds either a turn or an error")


@runtime_checkable
class UserModel(Protocol):
    """Plays the persuadee. A function of the dialogue (see `docs/concepts/user-models.md`)."""

    def reply(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[UserReply]:
        """The persuadee's next turn in each dialogue, whose last turn is the persuader's.

        Args:
            dialogues: n dialogues, each ending in a persuader turn.
            seeds: n seeds, one per turn to be written.

        Returns:
            n replies, in order. The persuader's `analysis` and `strategy` must not
            influence them.
        """
        ...


@runtime_checkable
class AttitudeUser(Protocol):
    """A user model that can say what it would feel without writing words, which costs far less."""

    def attitudes(self, dialogues: Sequence[Dialogue]) -> list[float]:
        """The attitude after the last persuader turn of each dialogue.

        Args:
            dialogues: n dialogues, each ending in a persuader turn.

        Returns:
            n attitudes, 1 to 7, each a function of its dialogue alone; NaN where it has none.

        Raises:
            UserModelError: if the user has none at all without words.
        """
        ...


@runtime_checkable
class Persuader(Protocol):
    """Plays the persuader. Never sees `scenario.persona` or the persuadee's attitude."""

    def act(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        """The persuader's next turn in each dialogue, which is empty or ends in a persuadee turn.

        Args:
            dialogues: n dialogues as the persuader may see them (`persuader_view`).
            seeds: n seeds, one per turn to be written.

        Returns:
            n replies, in order.
        """
        ...


class Verdict(StrEnum):
    """What a judge says of two dialogues of one scenario."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"
    FAILED = "failed"
    """It gave no verdict; nobody averages that in."""


@runtime_checkable
class Judge(Protocol):
    """Compares two dialogues of one scenario. The caller asks both orders."""

    def compare(self, pairs: Sequence[tuple[Dialogue, Dialogue]]) -> list[Verdict]:
        """Which dialogue of each pair persuaded better; n pairs in, n verdicts out."""
        ...


@runtime_checkable
class ChatModel(Protocol):
    """A language model that continues chats."""

    def generate(
        self,
        prompts: Sequence[Sequence[Message]],
        seeds: Sequence[int],
        *,
        max_reply_tokens: int,
        temperature: float = 0.8,
        top_p: float = 0.95,
    ) -> list[Completion]:
        """One completion per prompt, in order.

        Control tokens in message contents are neutralised (`persuade_env.llm.sanitize`).

        Raises:
            ChatError: if the model as a whole can't answer.
        """
        ...


class StepInfo(TypedDict):
    """`info` at reset and at every step: always these keys, always these types."""

    messages: list[dict[str, str]]
    """The dialogue as chat messages from the persuader's side: scenario as system, words alone."""
    turn: int
    """Persuader turns so far."""
    scenario_id: str
    attitude: float
    """The user's agreement with the goal, 1 to 7; the initial one at reset."""
    tone: str
    """Of the user's last words; empty before any."""
    decision: str
    """The user's last decision: `continue`, `accept`, `refuse`; empty before any."""
    outcome: str
    """`accepted`, `refused`, or `undecided` as long as it is."""
    stop_reason: str
    """Why the episode ended: `accepted`, `refused`, `max_turns`, `error`; empty while it runs."""
    valid: bool
    """False if the user model or the persuader failed: not a result, and nothing to train on."""
    error_kind: str
    """The kind of the error that made it invalid; empty otherwise."""
    malformed_turns: int
    """Actions so far that attempted the intent-to-strategy format and failed."""
    reward_terms: dict[str, float]
    """The weighted terms of this step's reward, which is their sum."""
    user_prompt_tokens: int
    """Tokens that the user model read in this episode; 0 for one without a language model."""
    user_completion_tokens: int
    """Tokens that the user model wrote in this episode."""


def persuader_view(dialogue: Dialogue) -> Dialogue:
    """The dialogue as a persuader may see it: no persona, no attitude, tone or concern.

    Tone is taken away with the rest, because a person reads it from the words.
    """
    scenario = dialogue.scenario.model_copy(update={"persona": None})
    turns = tuple(
        turn
        if isinstance(turn, PersuaderTurn)
        else turn.model_copy(update={"attitude": None, "tone": "", "concern": None})
        for turn in dialogue.turns
    )
    return Dialogue.model_construct(scenario=scenario, turns=turns)


def user_view(dialogue: Dialogue) -> Dialogue:
    """The dialogue as the persuadee hears it: nothing of a turn but its words, no candidates."""
    turns = [
        turn.model_copy(
            update={"analysis": "", "strategy": "", "appeal": None, "bluff": False, "good": None}
        )
        if isinstance(turn, PersuaderTurn)
        and (turn.analysis or turn.strategy or turn.appeal or turn.bluff or turn.good is not None)
        else turn
        for turn in dialogue.turns
    ]
    return Dialogue.model_construct(scenario=_as_heard(dialogue.scenario), turns=tuple(turns))


@lru_cache(maxsize=1024)
def _as_heard(scenario: Scenario) -> Scenario:
    return scenario.model_copy(update={"strategies": (), "facts": ()})

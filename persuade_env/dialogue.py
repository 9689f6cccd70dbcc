"""The nouns of the suite: scenario, persona, turn, dialogue, outcome.

Everything here is an immutable, validated value. Whatever else happens in the
suite is a function from these to these, so a dialogue can be forked, replayed,
stored, or moved to another machine.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MIN_ATTITUDE = 1.0
"""Lower end of the 7-point Likert scale: firmly against the goal."""

MAX_ATTITUDE = 7.0
"""Upper end of the 7-point Likert scale: fully convinced."""

NEUTRAL_ATTITUDE = 4.0
"""Middle of the scale: could go either way."""

DEFAULT_INITIAL_ATTITUDE = 3.0
"""Attitude before the first turn where a data set does not tell: mildly against."""

DOMAINS = (
    "Education", "Lifestyle", "Career", "Business", "Technology", "Health", "Psychology",
    "Finance", "Ecology", "Travel", "Ethics", "Family", "Art", "Literature", "Leisure",
    "Culture", "Science", "Safety", "Politics", "Charity", "Media", "Sport", "Philosophy",
    "Welfare", "Marketing", "Research", "Architecture", "Craftsmanship", "History",
    "Innovation", "Fashion", "Law", "Economics", "Debate", "Negotiation",
)  # fmt: skip
"""The 35 domains of DailyPersuasion (Jin et al., ACL 2024)."""

TONES = (
    "amused", "angry", "annoyed", "anxious", "confused", "curious", "defensive", "excited",
    "firm", "hesitant", "hopeful", "impatient", "polite", "relieved", "sad", "skeptical",
    "thoughtful", "tired", "warm", "wary",
)  # fmt: skip
"""The closed list of tones a persuadee of this suite speaks in."""


class Decision(StrEnum):
    """The persuadee's structured end signal, one per persuadee turn."""

    CONTINUE = "continue"
    ACCEPT = "accept"
    REFUSE = "refuse"


class Outcome(StrEnum):
    """How a dialogue ended, derived from its last decision."""

    ACCEPTED = "accepted"
    """The persuadee agreed to the goal."""
    REFUSED = "refused"
    """The persuadee walked away."""
    UNDECIDED = "undecided"
    """The turns ran out."""


_OUTCOME_OF = {
    Decision.ACCEPT: Outcome.ACCEPTED,
    Decision.REFUSE: Outcome.REFUSED,
    Decision.CONTINUE: Outcome.UNDECIDED,
}


class Appeal(StrEnum):
    """What a persuader turn mainly does: the ten strategies that PersuasionForGood is labelled
    with (Wang et al., ACL 2019, table 2), or none of them."""

    LOGICAL = "logical-appeal"
    EMOTION = "emotion-appeal"
    CREDIBILITY = "credibility-appeal"
    FOOT_IN_THE_DOOR = "foot-in-the-door"
    SELF_MODELING = "self-modeling"
    PERSONAL_STORY = "personal-story"
    INFORMATION = "donation-information"
    """There: how to donate. Here: how what is asked for is done, where, when, at what cost."""
    SOURCE_INQUIRY = "source-related-inquiry"
    TASK_INQUIRY = "task-related-inquiry"
    PERSONAL_INQUIRY = "personal-related-inquiry"
    NONE = "none"


NonEmpty = Annotated[str, Field(min_length=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Concern(_Frozen):
    """One reason to hesitate, with what would settle it and what would make it worse."""

    id: NonEmpty = Field(description="Short name, unique within the persona.")
    text: NonEmpty = Field(description="The concern, as the persuadee would put it.")
    settled_by: NonEmpty = Field(description="What a persuader would have to say or offer.")
    worsened_by: NonEmpty = Field(description="What would make the concern weigh more.")


class Persona(_Frozen):
    """What the persuader can't see: the mind behind the persuadee's words."""

    traits: tuple[NonEmpty, ...] = Field(min_length=1, description="How this person is.")
    stubbornness: float = Field(
        ge=0.0, le=1.0, description="0: moves at the first good reason; 1: hardly moves."
    )
    initial_attitude: float = Field(
        default=DEFAULT_INITIAL_ATTITUDE,
        ge=MIN_ATTITUDE,
        le=MAX_ATTITUDE,
        description="Attitude towards the goal before the first turn, 1 to 7.",
    )
    concerns: tuple[Concern, ...] = Field(default=(), description="Reasons to hesitate.")

    @model_validator(mode="after")
    def _unique_concerns(self) -> Self:
        ids = [concern.id for concern in self.concerns]
        if len(set(ids)) != len(ids):
            raise ValueError(f"concern ids must be unique within a persona, got {ids}")
        return self


class Scenario(_Frozen):
    """Who wants what from whom, and why that is not easy."""

    id: NonEmpty
    domain: NonEmpty = Field(description="One of the 35 domains, or a data set's own.")
    background: NonEmpty = Field(description="The situation, known to both sides.")
    persuader: NonEmpty = Field(description="Name of the persuader.")
    persuadee: NonEmpty = Field(description="Name of the persuadee.")
    goal: NonEmpty = Field(description="What the persuadee should agree to.")
    strategies: tuple[NonEmpty, ...] = Field(
        default=(), description="Candidate strategies of the persuader."
    )
    facts: tuple[NonEmpty, ...] = Field(
        default=(), description="What the persuader may state as fact beyond the background."
    )
    persona: Persona | None = Field(default=None, description="Hidden from the persuader.")

    @field_validator("strategies")
    @classmethod
    def _unique_strategies(cls, strategies: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(strategies)) != len(strategies):
            raise ValueError("candidate strategies must be unique")
        return strategies

    @property
    def initial_attitude(self) -> float:
        """Attitude before the first turn, 1 to 7; `DEFAULT_INITIAL_ATTITUDE` without a persona."""
        return self.persona.initial_attitude if self.persona else DEFAULT_INITIAL_ATTITUDE


class PersuaderTurn(_Frozen):
    """What the persuader thought, chose and said. Only `response` reaches the persuadee."""

    role: Literal["persuader"] = "persuader"
    analysis: str = Field(default="", description="Private intent-to-strategy reasoning.")
    strategy: str = Field(default="", description="A candidate strategy, or free text.")
    response: str = Field(description="What is said; may be empty (silence).")
    appeal: Appeal | None = Field(
        default=None,
        description="Label: what the turn mainly does, in PersuasionForGood's terms; "
        "null where nobody labelled it.",
    )
    bluff: bool = Field(
        default=False, description="Label: the turn makes up a fact or fakes experience."
    )


class PersuadeeTurn(_Frozen):
    """What the persuadee felt and said in answer."""

    role: Literal["persuadee"] = "persuadee"
    attitude: float | None = Field(
        default=None,
        ge=MIN_ATTITUDE,
        le=MAX_ATTITUDE,
        description="Agreement with the goal after hearing the persuader, 1 to 7; "
        "null where a data set doesn't tell.",
    )
    tone: str = ""
    response: NonEmpty
    decision: Decision = Decision.CONTINUE
    concern: str | None = Field(
        default=None, description="Id of the persona's concern that is at stake in this turn."
    )


Turn = Annotated[PersuaderTurn | PersuadeeTurn, Field(discriminator="role")]


class Dialogue(_Frozen):
    """A scenario and the turns so far, alternating; either side may open.

    The last turn alone may carry a decision other than `continue`.
    """

    scenario: Scenario
    turns: tuple[Turn, ...] = ()

    @model_validator(mode="after")
    def _alternating(self) -> Self:
        for earlier, later in zip(self.turns, self.turns[1:], strict=False):
            if earlier.role == later.role:
                raise ValueError(f"turns must alternate, found two {later.role} turns in a row")
            if isinstance(earlier, PersuadeeTurn) and earlier.decision is not Decision.CONTINUE:
                raise ValueError(f"a turn follows the decision {earlier.decision.value!r}")
        return self

    def extended(self, turn: PersuaderTurn | PersuadeeTurn) -> Dialogue:
        """This dialogue with one more turn.

        Raises:
            ValueError: if the turn is out of order or the dialogue has ended. The
                check is incremental, so a dialogue of n turns costs O(n) to build.
        """
        if self.turns:
            last = self.turns[-1]
            if last.role == turn.role:
                raise ValueError(f"turns must alternate, found two {turn.role} turns in a row")
            if isinstance(last, PersuadeeTurn) and last.decision is not Decision.CONTINUE:
                raise ValueError(f"a turn follows the decision {last.decision.value!r}")
        return Dialogue.model_construct(scenario=self.scenario, turns=(*self.turns, turn))

    @property
    def persuader_turns(self) -> tuple[PersuaderTurn, ...]:
        return tuple(turn for turn in self.turns if isinstance(turn, PersuaderTurn))

    @property
    def persuadee_turns(self) -> tuple[PersuadeeTurn, ...]:
        return tuple(turn for turn in self.turns if isinstance(turn, PersuadeeTurn))

    @property
    def attitude(self) -> float:
        """The latest known attitude, 1 to 7; the scenario's initial one before any."""
        for turn in reversed(self.turns):
            if isinstance(turn, PersuadeeTurn) and turn.attitude is not None:
                return turn.attitude
        return self.scenario.initial_attitude

    @property
    def outcome(self) -> Outcome:
        """`accepted` or `refused` by the last decision, else `undecided`."""
        for turn in reversed(self.turns):
            if isinstance(turn, PersuadeeTurn):
                return _OUTCOME_OF[turn.decision]
        return Outcome.UNDECIDED


class RecordedDialogue(_Frozen):
    """A dialogue of a data set: its turns, and how well its persuader did."""

    id: NonEmpty = Field(description="Unique within the scenario.")
    quality: Literal["competent", "poor"] | None = Field(
        default=None, description="How the persuader goes about it; null where unknown."
    )
    persona: Persona | None = Field(
        default=None, description="Who the persuadee is here, where not the scenario's persona."
    )
    turns: tuple[Turn, ...] = Field(min_length=1)
    outcome_label: bool | None = Field(
        default=None, description="What the person did afterwards (PersuasionForGood: gave money)."
    )


class ScenarioRecord(Scenario):
    """One line of a scenario file: a scenario with its recorded dialogues."""

    dialogues: tuple[RecordedDialogue, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ids = [dialogue.id for dialogue in self.dialogues]
        if len(set(ids)) != len(ids):
            raise ValueError(f"dialogue ids must be unique within a scenario, got {ids}")
        for dialogue in self.dialogues:
            Dialogue(scenario=self.scenario, turns=dialogue.turns)
            persona = dialogue.persona or self.persona
            known = {concern.id for concern in persona.concerns} if persona else set()
            for turn in dialogue.turns:
                if isinstance(turn, PersuadeeTurn) and turn.concern not in (None, *known):
                    raise ValueError(
                        f"dialogue {dialogue.id!r} names the concern {turn.concern!r}; "
                        f"the persona has {sorted(known)}"
                    )
        return self

    @property
    def scenario(self) -> Scenario:
        """The scenario without its dialogues: what an environment is given."""
        return Scenario.model_construct(
            **{name: getattr(self, name) for name in Scenario.model_fields}
        )

    def dialogue(self, recorded: RecordedDialogue, until: int | None = None) -> Dialogue:
        """One recorded dialogue, or its turns before `until`, as a `Dialogue` of this scenario.

        The scenario's persona is the one that spoke in it.
        """
        scenario = self.scenario
        if recorded.persona is not None:
            scenario = scenario.model_copy(update={"persona": recorded.persona})
        return Dialogue.model_construct(scenario=scenario, turns=recorded.turns[:until])

"""The data model: scenario, persona, turn, dialogue and outcome, as frozen pydantic models.

All values are immutable and validated at construction. The rest of the suite consists of functions
between them, so a dialogue can be forked, replayed, stored, or moved to another machine.
Attitudes are on the 7-point Likert scale.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

MIN_ATTITUDE = 1.0
"""Lower end of the 7-point Likert scale: firmly against the goal."""

MAX_ATTITUDE = 7.0
"""Upper end of the 7-point Likert scale: fully convinced."""

NEUTRAL_ATTITUDE = 4.0
"""Middle of the scale: could go either way."""

DEFAULT_INITIAL_ATTITUDE = 3.0
"""Attitude before the first turn where a data set records none: mildly against."""

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
"""The closed set of tones of a persuadee in the corpus."""


class Decision(StrEnum):
    """The persuadee's structured end signal, one per persuadee turn.

    >>> Decision("accept")
    <Decision.ACCEPT: 'accept'>
    """

    CONTINUE = "continue"
    ACCEPT = "accept"
    REFUSE = "refuse"


class Outcome(StrEnum):
    """How a dialogue ended, derived from its last decision.

    >>> Outcome.UNDECIDED.value
    'undecided'
    """

    ACCEPTED = "accepted"
    """The persuadee agreed to the goal."""
    REFUSED = "refused"
    """The persuadee refused and ended the dialogue."""
    UNDECIDED = "undecided"
    """The dialogue reached its last turn without a decision."""


_OUTCOME_OF = {
    Decision.ACCEPT: Outcome.ACCEPTED,
    Decision.REFUSE: Outcome.REFUSED,
    Decision.CONTINUE: Outcome.UNDECIDED,
}


class Appeal(StrEnum):
    """The main persuasion strategy of a persuader turn, as PersuasionForGood labels it.

    Ten strategies (Wang et al., ACL 2019, table 2), or none of them.

    >>> Appeal("logical-appeal").name
    'LOGICAL'
    """

    LOGICAL = "logical-appeal"
    EMOTION = "emotion-appeal"
    CREDIBILITY = "credibility-appeal"
    FOOT_IN_THE_DOOR = "foot-in-the-door"
    SELF_MODELING = "self-modeling"
    PERSONAL_STORY = "personal-story"
    INFORMATION = "donation-information"
    """There: how to donate. Here: how, where, when and at what cost to do what the goal asks."""
    SOURCE_INQUIRY = "source-related-inquiry"
    TASK_INQUIRY = "task-related-inquiry"
    PERSONAL_INQUIRY = "personal-related-inquiry"
    NONE = "none"


NonEmpty = Annotated[str, Field(min_length=1)]


def _harmless(name: str) -> str:
    """An id that is safe in a path, a table and a terminal."""
    if not name.isprintable() or set("/\\") & set(name) or name.startswith("."):
        raise ValueError("an id has no slashes, no control characters and no dot in front")
    return name


ScenarioId = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_harmless)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Concern(_Frozen):
    """One reason to hesitate, with what would settle it and what would make it worse.

    >>> Concern(id="dog", text="Who feeds my dog?", settled_by="a sitter", worsened_by="scorn").id
    'dog'
    """

    id: NonEmpty = Field(description="Short name, unique within the persona.")
    text: NonEmpty = Field(description="The concern, as the persuadee would put it.")
    settled_by: NonEmpty = Field(description="What a persuader would have to say or offer.")
    worsened_by: NonEmpty = Field(description="What would make the concern weigh more.")


class Persona(_Frozen):
    """The persuadee's hidden state: traits, initial attitude and concerns.

    >>> Persona(traits=("calm",), stubbornness=0.5).initial_attitude
    3.0
    """

    traits: tuple[NonEmpty, ...] = Field(min_length=1, description="How this person is.")
    stubbornness: float = Field(
        strict=True,
        ge=0.0,
        le=1.0,
        description="0: moves at the first good reason; 1: hardly moves.",
    )
    initial_attitude: float = Field(
        default=DEFAULT_INITIAL_ATTITUDE,
        strict=True,
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
    """A persuasion task: two people, their situation, the persuader's goal and a hidden persona.

    >>> scenario = Scenario(id="leisure-1", domain="Leisure", background="Two neighbours talk.",
    ...     persuader="Ana", persuadee="Bo", goal="persuade Bo to come camping")
    >>> scenario.initial_attitude
    3.0
    """

    id: ScenarioId
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
    """A persuader turn: reasoning, strategy and response, of which the persuadee sees the last.

    >>> PersuaderTurn(response="I have a second tent.").role
    'persuader'
    """

    role: Literal["persuader"] = "persuader"
    analysis: str = Field(default="", description="Private intent-to-strategy reasoning.")
    strategy: str = Field(default="", description="A candidate strategy, or free text.")
    response: str = Field(description="The utterance; may be empty (silence).")
    appeal: Appeal | None = Field(
        default=None,
        description="Label: the turn's main strategy, in PersuasionForGood's terms; "
        "null where unlabelled.",
    )
    bluff: bool = Field(
        default=False, description="Label: the turn invents a fact or fakes experience."
    )
    good: bool | None = Field(
        default=None,
        description="Label: whether this is a good turn, in a dialogue of mixed quality; null in "
        "all others, whose quality says it.",
    )


class PersuadeeTurn(_Frozen):
    """A persuadee turn: attitude, tone, response and decision after the persuader's last turn.

    >>> PersuadeeTurn(attitude=5.0, response="And who feeds the dog?").decision.value
    'continue'
    """

    role: Literal["persuadee"] = "persuadee"
    attitude: float | None = Field(
        strict=True,
        default=None,
        ge=MIN_ATTITUDE,
        le=MAX_ATTITUDE,
        description="Agreement with the goal after the persuader's turn, 1 to 7; "
        "null where a data set records none.",
    )
    tone: str = ""
    response: NonEmpty
    decision: Decision = Decision.CONTINUE
    concern: str | None = Field(
        default=None, description="Id of the persona's concern that is at stake in this turn."
    )


Turn = Annotated[PersuaderTurn | PersuadeeTurn, Field(discriminator="role")]


class Dialogue(_Frozen):
    """A scenario and its turns so far, which alternate; either side may open.

    Only the last turn may carry a decision other than `continue`.

    >>> scenario = Scenario(id="leisure-1", domain="Leisure", background="Two neighbours talk.",
    ...     persuader="Ana", persuadee="Bo", goal="persuade Bo to come camping")
    >>> opened = Dialogue(scenario=scenario).extended(PersuaderTurn(response="Come along."))
    >>> opened.extended(PersuadeeTurn(response="Fine.", decision="accept")).outcome.value
    'accepted'
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
        """The persuader's turns, in order."""
        return tuple(turn for turn in self.turns if isinstance(turn, PersuaderTurn))

    @property
    def persuadee_turns(self) -> tuple[PersuadeeTurn, ...]:
        """The persuadee's turns, in order."""
        return tuple(turn for turn in self.turns if isinstance(turn, PersuadeeTurn))

    @property
    def attitude(self) -> float:
        """The last recorded attitude, 1 to 7; the scenario's initial one where there is none."""
        for turn in reversed(self.turns):
            if isinstance(turn, PersuadeeTurn) and turn.attitude is not None:
                return turn.attitude
        return self.scenario.initial_attitude

    @property
    def outcome(self) -> Outcome:
        """The outcome by the last decision; `undecided` before any."""
        for turn in reversed(self.turns):
            if isinstance(turn, PersuadeeTurn):
                return _OUTCOME_OF[turn.decision]
        return Outcome.UNDECIDED


class RecordedDialogue(_Frozen):
    """A dialogue of a data set: its turns, and labels of its quality and outcome.

    >>> RecordedDialogue(id="d", turns=(PersuaderTurn(response="Hi."),)).quality is None
    True
    """

    id: NonEmpty = Field(description="Unique within the scenario.")
    quality: Literal["competent", "mixed", "poor"] | None = Field(
        default=None,
        description="How the persuader goes about it; null where unknown. In a mixed dialogue "
        "each persuader turn says whether it is `good`.",
    )
    persona: Persona | None = Field(
        default=None, description="The persuadee's persona, where not the scenario's."
    )
    turns: tuple[Turn, ...] = Field(min_length=1)
    outcome_label: bool | None = Field(
        default=None, description="What the person did afterwards (PersuasionForGood: gave money)."
    )

    @model_validator(mode="after")
    def _marked(self) -> Self:
        marks = [turn.good is not None for turn in self.turns if isinstance(turn, PersuaderTurn)]
        if self.quality == "mixed" and not all(marks):
            raise ValueError("every persuader turn of a mixed dialogue says whether it is good")
        if self.quality != "mixed" and any(marks):
            raise ValueError("only a mixed dialogue says of its turns whether they are good")
        return self

    def is_good(self, turn: PersuaderTurn) -> bool:
        """Whether a persuader turn of this dialogue is one to learn from; so are unmarked ones."""
        return turn.good if turn.good is not None else self.quality != "poor"


class ScenarioRecord(Scenario):
    """One line of a scenario file: a scenario with its recorded dialogues.

    >>> recorded = RecordedDialogue(id="d", turns=(PersuaderTurn(response="Hi."),))
    >>> record = ScenarioRecord(id="leisure-1", domain="Leisure", background="Two neighbours talk.",
    ...     persuader="Ana", persuadee="Bo", goal="persuade Bo to come", dialogues=(recorded,))
    >>> len(record.dialogue(recorded).turns)
    1
    """

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
        """The scenario without its recorded dialogues, as an environment takes it."""
        return Scenario.model_construct(
            **{name: getattr(self, name) for name in Scenario.model_fields}
        )

    def dialogue(self, recorded: RecordedDialogue, until: int | None = None) -> Dialogue:
        """A recorded dialogue as a `Dialogue` of this scenario, with the persona of that dialogue.

        Args:
            recorded: one of `dialogues`.
            until: only the turns before this index; all of them by default.
        """
        scenario = self.scenario
        if recorded.persona is not None:
            scenario = scenario.model_copy(update={"persona": recorded.persona})
        return Dialogue.model_construct(scenario=scenario, turns=recorded.turns[:until])

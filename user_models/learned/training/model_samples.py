"""What a learned user's chat model says where it is known what a person said.

Both speak of the same things in the same manner, which the model has learned; one of them means
something. `user_models.learned.training.plausibility` learns the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from persuade_env.dialogue import ScenarioRecord
from persuade_env.seeding import derive_seed, generator
from persuade_env.text.normalize import one_line
from user_models.learned.user import LearnedUser
from user_models.querying import Progress, answers, ask

if TYPE_CHECKING:
    from persuade_env.llm.backends.transformers import TransformersChat

FILE = "own-words.jsonl"


class ModelSample(BaseModel):
    """A person's words at a place of a recorded dialogue, and the model's there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: str
    person: str
    model: str


def model_samples(
    chat: TransformersChat,
    records: Sequence[ScenarioRecord],
    count: int,
    seed: int,
    progress: Progress = lambda _: None,
) -> list[ModelSample]:
    """Asks the model at `count` recorded persuadee turns, drawn from all that answer something.

    A place at which it gives no words is left out.
    """
    places = answers(records)
    drawn = generator(derive_seed(seed, "places")).permutation(len(places))[:count]
    chosen = [places[index] for index in drawn]
    seeds = [derive_seed(seed, "words", place) for place in range(len(chosen))]
    replies = ask(LearnedUser(chat), [said for *_, said in chosen], seeds, progress)
    return [
        ModelSample(scenario=record.id, person=one_line(turn.response), model=reply.turn.response)
        for (record, turn, _), reply in zip(chosen, replies, strict=True)
        if reply.turn is not None
    ]


def write_model_samples(said: Sequence[ModelSample], folder: Path) -> None:
    """Keeps them beside a checkpoint: what its mind learned coherence from."""
    lines = "".join(one.model_dump_json() + "\n" for one in said)
    (folder / FILE).write_text(lines, encoding="utf-8")


def read_model_samples(path: Path) -> list[ModelSample]:
    """What `write_model_samples` wrote.

    Raises:
        OSError: if the file can't be read.
        ValidationError: if a line is something else.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    return [ModelSample.model_validate_json(line) for line in lines]

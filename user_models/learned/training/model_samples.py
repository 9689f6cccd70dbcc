"""Samples of a learned user's chat model at recorded turns, paired with what the person said.

Subject and style are the same in both, which the model has learned; only people's make sense.
`user_models.learned.training.plausibility` fits a test to the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from persuade_env.dialogue import ScenarioRecord
from persuade_env.seeding import derive_seed, generator
from persuade_env.text.normalize import one_line, text_lines
from user_models.learned.user import LearnedUser
from user_models.querying import Progress, ask, recorded_answers

if TYPE_CHECKING:
    from persuade_env.llm.backends.transformers import TransformersChat

FILE = "own-words.jsonl"
"""The samples' file in a checkpoint's folder."""


class ModelSample(BaseModel):
    """A person's response at a point of a recorded dialogue, and the model's at the same point.

    >>> ModelSample(scenario="art-001", person="Who pays?", model="The dog pays.").scenario
    'art-001'
    """

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
    """Samples the model at recorded persuadee turns.

    Args:
        chat: the fine-tuned model.
        records: recorded dialogues.
        count: turns drawn without replacement from all that answer the persuader.
        seed: of the draw and the sampling.
        progress: called with the number of replies just obtained.

    Returns:
        At most `count` samples; a turn at which the model gives no words is left out.
    """
    candidates = recorded_answers(records)
    order = generator(derive_seed(seed, "places")).permutation(len(candidates))[:count]
    chosen = [candidates[index] for index in order]
    seeds = [derive_seed(seed, "words", index) for index in range(len(chosen))]
    replies = ask(LearnedUser(chat), [dialogue for *_, dialogue in chosen], seeds, progress)
    return [
        ModelSample(scenario=record.id, person=one_line(turn.response), model=reply.turn.response)
        for (record, turn, _), reply in zip(chosen, replies, strict=True)
        if reply.turn is not None
    ]


def write_model_samples(samples: Sequence[ModelSample], folder: Path) -> None:
    """Writes the samples to a checkpoint's folder, as what plausibility was fitted to."""
    lines = "".join(sample.model_dump_json() + "\n" for sample in samples)
    (folder / FILE).write_text(lines, encoding="utf-8")


def read_model_samples(path: Path) -> list[ModelSample]:
    """The samples that `write_model_samples` wrote.

    Raises:
        OSError: if the file can't be read.
        ValidationError: if a line is something else.
    """
    lines = text_lines(path.read_text(encoding="utf-8"))
    return [ModelSample.model_validate_json(line) for line in lines]

"""What a learned user's chat model says where it is known what a person said.

Both speak of the same things in the same manner, which the model has learned; one of them means
something. `user_models.coherence_training` learns the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from persuade_env.dialogue import PersuadeeTurn, ScenarioRecord
from persuade_env.protocols import user_view
from persuade_env.seeding import derive_seed, generator
from persuade_env.turn_format import one_line
from user_models.learned import LearnedUser

if TYPE_CHECKING:
    from persuade_env.chat.transformers import TransformersChat

FILE = "own-words.jsonl"

_BATCH = 32


class OwnWords(BaseModel):
    """A person's words at a place of a recorded dialogue, and the model's there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: str
    person: str
    model: str


def own_words(
    chat: TransformersChat,
    records: Sequence[ScenarioRecord],
    count: int,
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> list[OwnWords]:
    """Asks the model at `count` recorded persuadee turns, drawn from all that answer something.

    A place at which it gives no words is left out.

    Args:
        progress: told how many places were just asked at.
    """
    places = [
        (record, recorded, index)
        for record in records
        for recorded in record.dialogues
        for index, turn in enumerate(recorded.turns)
        if isinstance(turn, PersuadeeTurn) and index
    ]
    drawn = generator(derive_seed(seed, "places")).permutation(len(places))[:count]
    user = LearnedUser(chat)
    found = []
    for start in range(0, len(drawn), _BATCH):
        part = [places[index] for index in drawn[start : start + _BATCH]]
        asked = [user_view(record.dialogue(recorded, until=at)) for record, recorded, at in part]
        seeds = [derive_seed(seed, "words", start + offset) for offset in range(len(part))]
        for (record, recorded, at), reply in zip(part, user.reply(asked, seeds), strict=True):
            if reply.turn is not None:
                person = one_line(recorded.turns[at].response)
                found.append(OwnWords(scenario=record.id, person=person, model=reply.turn.response))
        progress(len(part))
    return found


def write_own_words(said: Sequence[OwnWords], folder: Path) -> None:
    """Keeps them beside a checkpoint: what its mind learned coherence from."""
    lines = "".join(one.model_dump_json() + "\n" for one in said)
    (folder / FILE).write_text(lines, encoding="utf-8")


def read_own_words(path: Path) -> list[OwnWords]:
    """What `write_own_words` wrote.

    Raises:
        OSError: if the file can't be read.
        ValidationError: if a line is something else.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    return [OwnWords.model_validate_json(line) for line in lines]

"""The scenarios that a run uses, and how its stages tell what they were made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.common.storage import write_json
from experiments.configs.schema import RunSettings
from persuade_env.dialogue import ScenarioRecord
from persuade_env.errors import RunError
from persuade_env.scenarios import SPLITS, halves, load_source, split_of


@dataclass(frozen=True)
class RunData:
    """The scenarios that a run uses."""

    train: list[ScenarioRecord]
    validation: list[ScenarioRecord]
    test: list[ScenarioRecord]

    @classmethod
    def load(cls, settings: RunSettings) -> RunData:
        """Reads them.

        Raises:
            ScenarioError: if a file is named and is not as it should be.
            RunError: if it has too few scenarios to train two user models and to test.
        """
        records = load_source(settings.scenarios)
        train, validation, test = (
            [record for record in records if split_of(record) == split] for split in SPLITS
        )
        if not all(halves(train)) or not test:
            raise RunError(
                f"{settings.scenarios}: {len(train)} scenarios for training and {len(test)} for "
                "testing are too few; ids that end in a running number (`art-003`) spread evenly"
            )
        return cls(
            train[: settings.max_train_scenarios],
            validation,
            test[: settings.max_test_scenarios],
        )


DOMAINS = "domains.json"
"""In the folder of the `unseen` user: the domains that it was trained on."""


def left_out_domains(records: Sequence[ScenarioRecord]) -> frozenset[str]:
    """Every third domain in alphabetical order: what the `unseen` user is not trained on."""
    return frozenset(sorted({record.domain for record in records})[::3])


def dump(records: Sequence[ScenarioRecord]) -> list[dict[str, Any]]:
    """The scenarios as plain JSON."""
    return [record.model_dump(mode="json") for record in records]


def keep_log(folder: Path, log: Sequence[Mapping[str, Any]]) -> None:
    """The training log without its clock: the same inputs give the same file."""
    clocks = ("runtime", "per_second", "seconds", "step_time")
    kept = [{k: v for k, v in one.items() if not k.endswith(clocks)} for one in log]
    write_json(folder / "log.json", kept)

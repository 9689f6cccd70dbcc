"""Options that several commands have, and what they mean."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.common.storage import UNSAFE

if TYPE_CHECKING:
    from experiments.configs.schema import RunSettings

RUNS = Path("runs")
RunFolder = Annotated[Path, typer.Option("--out", help="The run's folder.", show_default=False)]
Preset = Annotated[str, typer.Option(help="Settings by name: default, full, smoke.")]
Seed = Annotated[int, typer.Option(help="Of everything that is drawn.")]
Track = Annotated[bool, typer.Option("--track", help="Log to Weights & Biases.")]
TrainUser = Annotated[
    str,
    typer.Option(
        help="The user that DPO, PPO and GRPO learn from: learned, held-out, concerns, ...; "
        "learned+concerns for a population, learned+concerns@0.25 for its lower quartile."
    ),
]
Scenarios = Annotated[
    Path | None,
    typer.Option(help="A scenario file to train and test on in place of the shipped corpus."),
]


def run_folder(
    folder: Path, preset: str, seed: int, scenarios: Path | None, train_user: str = "learned"
) -> Path:
    """Where a run goes that names no folder: runs of other settings don't share one."""
    if folder != Path():
        return folder
    parts = [preset, scenarios.stem if scenarios else "", str(seed) if seed else ""]
    parts.append("" if train_user == "learned" else re.sub(UNSAFE, "_", train_user))
    return RUNS / "-".join(part for part in parts if part)


def run_settings(
    preset: str, seed: int, scenarios: Path | None, train_user: str = "learned"
) -> RunSettings:
    """The preset's, with seed, scenario file, and whom agents learn from.

    Raises:
        UnknownNameError: if there is no such preset.
    """
    from experiments.configs import schema as presets

    file = None if scenarios is None else str(scenarios)
    return replace(presets.preset(preset), seed=seed, scenarios=file, train_user=train_user)


def names_in(text: str) -> list[str]:
    """The names in a comma-separated list."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter("name at least one")
    return names


def quiet() -> None:
    """Keeps libraries from writing over the progress bars."""
    import logging
    import warnings

    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)
    logging.getLogger("httpx").setLevel(logging.WARNING)

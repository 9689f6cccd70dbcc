"""Options that several commands have, and what they mean. Importing this loads no torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persuade_env.scenarios import SPLITS
from persuade_env.spec import hide_password

if TYPE_CHECKING:
    from experiments.configs.schema import RunSettings

RUNS = Path("runs")
"""Where runs go that name no folder."""

RunFolder = Annotated[
    Path | None, typer.Option("--out", help="The run's folder.", show_default="runs/PRESET")
]
Preset = Annotated[str, typer.Option(help="Settings by name: default, full, smoke.")]
Config = Annotated[
    Path | None,
    typer.Option(help="A TOML file with settings that differ from the preset's.", dir_okay=False),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, such as dpo.beta=0.05; may be repeated."),
]
Base = Annotated[
    str | None,
    typer.Option(help="The chat model to start from: embedded, a Hugging Face id, or a folder."),
]
Seed = Annotated[int, typer.Option(help="Of everything that is drawn.")]
RunSeed = Annotated[int | None, typer.Option(help="Of everything that is drawn.")]
Fresh = Annotated[
    bool,
    typer.Option("--fresh", help="Move what was made with other settings aside, make it anew."),
]
Track = Annotated[bool, typer.Option("--track", help="Log to Weights & Biases, live.")]
TensorBoard = Annotated[bool, typer.Option("--tensorboard", help="Log to TensorBoard, live.")]
TrainUser = Annotated[
    str | None,
    typer.Option(
        "--train-user",
        "--against",
        help="The user that DPO, PPO and GRPO learn from: learned, held-out, concerns, ...; "
        "learned+concerns for an ensemble, learned+concerns@0.25 for its lower quartile.",
        show_default="learned",
    ),
]
Scenarios = Annotated[
    Path | None,
    typer.Option(help="A scenario file, or a corpus that ships (plain), to train and test on."),
]
Split = Annotated[str, typer.Option(help=f"One of {', '.join(SPLITS)}.")]
ScenarioFile = Annotated[
    Path | None,
    typer.Option(
        "--scenarios", help="A scenario file, or a corpus that ships, in place of the default one."
    ),
]
OfRun = Annotated[Path, typer.Option("--run", help="The run whose trained models are meant.")]
Wide = Annotated[bool, typer.Option("--wide", help="Every column, however wide.")]
Format = Annotated[str, typer.Option(help="table, markdown, csv or json.")]


def trackers(track: bool, tensorboard: bool) -> list[str]:
    """What `--track` and `--tensorboard` mean together."""
    return [*(["wandb"] if track else []), *(["tensorboard"] if tensorboard else [])]


def run_settings(
    preset: str,
    config: Path | None,
    overrides: list[str] | None,
    base: str | None,
    seed: int | None,
    scenarios: Path | None,
    train_user: str | None,
) -> RunSettings:
    """The preset's settings, changed by the other options; the more particular ones win.

    Raises:
        UnknownNameError: if there is no such preset.
        ConfigError: if a file can't be read, a name doesn't exist or a value doesn't fit.
    """
    from experiments.configs.load import load_settings

    return load_settings(
        preset,
        config,
        overrides or (),
        base=base,
        seed=seed,
        scenarios=None if scenarios is None else str(scenarios),
        train_user=train_user,
    )


def run_folder(
    folder: Path | None, preset: str, config: Path | None, settings: RunSettings
) -> Path:
    """Where a run goes that names no folder: by preset, file, scenarios, seed and user."""
    if folder is not None:
        return folder
    parts = [
        preset,
        config.stem if config else "",
        Path(settings.scenarios).stem if settings.scenarios else "",
        str(settings.seed) if settings.seed else "",
        "" if settings.train_user == "learned" else hide_password(settings.train_user),
    ]
    return RUNS / "-".join(re.sub(r"[^\w.-]+", "_", part) for part in parts if part)


def names_in(text: str) -> list[str]:
    """The names in a comma-separated list."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter("name at least one")
    return names

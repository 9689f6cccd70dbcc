"""`persuade train`: one model, with the stages of a run that it needs."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape

from experiments.console import err, out
from experiments.options import (
    Against,
    Preset,
    RunFolder,
    Scenarios,
    Seed,
    Track,
    quiet,
    run_folder,
    run_settings,
)

app = typer.Typer(help="Trains one model.", no_args_is_help=True)


def _train(
    stage: str,
    preset: str,
    folder: Path,
    seed: int,
    scenarios: Path | None,
    track: bool,
    against: str = "learned",
) -> None:
    from experiments import pipeline

    quiet()
    folder = run_folder(folder, preset, seed, scenarios, against)
    settings = run_settings(preset, seed, scenarios, against)
    pipeline.train(folder, settings, stage, say=lambda line: err.print(escape(line)))
    out.print(f"checkpoint: {folder / stage}", soft_wrap=True, highlight=False)
    if track:
        from experiments.tracking import track as log_run

        out.print(f"tracked: {log_run(folder)}", soft_wrap=True, highlight=False)


@app.command("user-model")
def train_user_model(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
    track: Track = False,
) -> None:
    """The learned user, on half of the training scenarios."""
    _train("user-model", preset, folder, seed, scenarios, track)


@app.command("unseen")
def train_unseen(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
    track: Track = False,
) -> None:
    """The learned user without a third of the domains, for `persuade perplexity`."""
    _train("unseen", preset, folder, seed, scenarios, track)


@app.command("sft")
def train_sft(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
    track: Track = False,
) -> None:
    """The SFT persuader, with the stages before it."""
    _train("sft", preset, folder, seed, scenarios, track)


@app.command("dpo")
def train_dpo(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
    track: Track = False,
    against: Against = "learned",
) -> None:
    """The DPO persuader, with the stages before it."""
    _train("dpo", preset, folder, seed, scenarios, track, against)


@app.command("ppo")
def train_ppo(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
    track: Track = False,
    against: Against = "learned",
) -> None:
    """The PPO persuader, with the stages before it."""
    _train("ppo", preset, folder, seed, scenarios, track, against)


@app.command("grpo")
def train_grpo(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
    track: Track = False,
    against: Against = "learned",
) -> None:
    """The GRPO persuader, with the stages before it."""
    _train("grpo", preset, folder, seed, scenarios, track, against)

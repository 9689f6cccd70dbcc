"""`persuade train`: one model, with the stages of a run that it needs."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape

from experiments.console import err, out
from experiments.options import (
    Preset,
    RunFolder,
    Scenarios,
    Seed,
    quiet,
    run_folder,
    run_settings,
)

app = typer.Typer(help="Trains one model.", no_args_is_help=True)


def _train(stage: str, preset: str, folder: Path, seed: int, scenarios: Path | None) -> None:
    from experiments import pipeline

    quiet()
    folder = run_folder(folder, preset, seed, scenarios)
    settings = run_settings(preset, seed, scenarios)
    pipeline.run(folder, settings, until=stage, say=lambda line: err.print(escape(line)))
    out.print(f"checkpoint: {folder / stage}", soft_wrap=True, highlight=False)


@app.command("user-model")
def train_user_model(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
) -> None:
    """The learned user, on half of the training scenarios."""
    _train("user-model", preset, folder, seed, scenarios)


@app.command("sft")
def train_sft(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
) -> None:
    """The SFT persuader, with the stages before it."""
    _train("sft", preset, folder, seed, scenarios)


@app.command("dpo")
def train_dpo(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
) -> None:
    """The DPO persuader, with the stages before it."""
    _train("dpo", preset, folder, seed, scenarios)


@app.command("ppo")
def train_ppo(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
) -> None:
    """The PPO persuader, against the learned user, with the stages before it."""
    _reinforce("ppo", preset, folder, seed, scenarios)


@app.command("grpo")
def train_grpo(
    preset: Preset = "default",
    folder: RunFolder = Path(),
    seed: Seed = 0,
    scenarios: Scenarios = None,
) -> None:
    """The GRPO persuader, against the learned user, with the stages before it."""
    _reinforce("grpo", preset, folder, seed, scenarios)


def _reinforce(
    algorithm: str, preset: str, folder: Path, seed: int, scenarios: Path | None
) -> None:
    from experiments import reinforcement

    quiet()
    folder = run_folder(folder, preset, seed, scenarios)
    settings = run_settings(preset, seed, scenarios)
    reinforcement.train(folder, settings, algorithm, say=lambda line: err.print(escape(line)))
    out.print(f"checkpoint: {folder / algorithm}", soft_wrap=True, highlight=False)

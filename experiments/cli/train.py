"""`persuade train`: one model, with the stages of a run that it needs."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape

from experiments.cli.options import (
    Preset,
    RunFolder,
    Scenarios,
    Seed,
    Track,
    TrainUser,
    quiet,
    run_folder,
    run_settings,
)
from experiments.common.console import err, out

app = typer.Typer(help="Trains one model.", no_args_is_help=True)


def _train(
    stage: str,
    preset: str,
    folder: Path,
    seed: int,
    scenarios: Path | None,
    track: bool,
    train_user: str = "learned",
) -> None:
    from experiments.pipeline import run as pipeline

    quiet()
    folder = run_folder(folder, preset, seed, scenarios, train_user)
    settings = run_settings(preset, seed, scenarios, train_user)
    pipeline.train(folder, settings, stage, on_progress=lambda line: err.print(escape(line)))
    out.print(f"checkpoint: {folder / stage}", soft_wrap=True, highlight=False)
    if track:
        from experiments.reporting.wandb import track as log_run

        out.print(f"tracked: {log_run(folder)}", soft_wrap=True, highlight=False)


def _model(stage: str, what: str) -> None:
    """Adds the command for what learns from recorded dialogues."""

    @app.command(stage, help=what)
    def train(
        preset: Preset = "default",
        folder: RunFolder = Path(),
        seed: Seed = 0,
        scenarios: Scenarios = None,
        track: Track = False,
    ) -> None:
        _train(stage, preset, folder, seed, scenarios, track)


def _agent(stage: str, what: str) -> None:
    """Adds the command for what learns from a user model."""

    @app.command(stage, help=what)
    def train(
        preset: Preset = "default",
        folder: RunFolder = Path(),
        seed: Seed = 0,
        scenarios: Scenarios = None,
        train_user: TrainUser = "learned",
        track: Track = False,
    ) -> None:
        _train(stage, preset, folder, seed, scenarios, track, train_user)


_model("user-model", "The learned user, on half of the training scenarios.")
_model("held-out", "A second learned user, on the other half; nothing is trained against it.")
_model("unseen", "The learned user without a third of the domains, for `persuade perplexity`.")
_model("sft", "The SFT persuader.")
_agent("dpo", "The DPO persuader, with the stages before it.")
_agent("ppo", "The PPO persuader, with the stages before it.")
_agent("grpo", "The GRPO persuader, with the stages before it.")

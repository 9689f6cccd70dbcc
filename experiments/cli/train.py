"""`persuade train`: one model, with the steps of a run that it needs."""

from __future__ import annotations

import typer
from rich.markup import escape

from experiments.cli.options import (
    Base,
    Config,
    Fresh,
    Overrides,
    Preset,
    RunFolder,
    RunSeed,
    Scenarios,
    TensorBoard,
    Track,
    TrainUser,
    run_folder,
    run_settings,
    trackers,
)
from experiments.common.console import err, out, quiet_libraries

app = typer.Typer(
    help="Trains one model, with the steps of a run that it needs.", no_args_is_help=True
)


def _add_command(step: str, help: str) -> None:
    @app.command(step, help=help)
    def train(
        preset: Preset = "default",
        config: Config = None,
        overrides: Overrides = None,
        base: Base = None,
        folder: RunFolder = None,
        seed: RunSeed = None,
        scenarios: Scenarios = None,
        train_user: TrainUser = None,
        fresh: Fresh = False,
        track: Track = False,
        tensorboard: TensorBoard = False,
    ) -> None:
        settings = run_settings(preset, config, overrides, base, seed, scenarios, train_user)
        root = run_folder(folder, preset, config, settings)
        from experiments.pipeline import run as pipeline
        from experiments.reporting.metrics import live_metrics

        quiet_libraries()
        if track:
            from experiments.reporting.wandb import check_tracking

            err.print(check_tracking(), highlight=False)
        with live_metrics(root, trackers(track, tensorboard), settings) as metrics:
            pipeline.train(
                root,
                settings,
                step,
                fresh=fresh,
                metrics=metrics,
                on_progress=lambda line: err.print(escape(line)),
            )
        out.print(f"checkpoint: {root / step}", soft_wrap=True, highlight=False)


_add_command("user-model", "The learned user, on half of the training scenarios.")
_add_command("held-out", "A second learned user, on the other half; nothing is trained against it.")
_add_command("unseen", "The learned user without a third of the domains, for `perplexity`.")
_add_command("sft", "The SFT persuader.")
_add_command("pool", "Labelled candidate turns that RFT and DPO learn from.")
_add_command("rft", "The RFT persuader, on the best turns of the pool.")
_add_command("preferences", "Preferences, with the steps before them.")
_add_command("dpo", "The DPO persuader, with the steps before it.")
_add_command("foresight", "What rerank-N chooses by, with the steps before it.")
_add_command("ppo", "The PPO persuader, with the steps before it.")
_add_command("grpo", "The GRPO persuader, with the steps before it.")

"""Logs a run to Weights & Biases, live: settings and metrics as they come, then the results.

Nothing of a run depends on it. Without a key (`WANDB_API_KEY` or a login) it logs offline, and says
how that is uploaded later.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from experiments.benchmark.summary import frame, load_rows
from experiments.reporting.html_report import sample_dialogues
from persuade_env.envs.rendering import render_ansi
from persuade_env.errors import RunError

PROJECT = "persuade-env"
_SUMMARY = ("success", "attitude_gain", "win_rate")


def check_tracking() -> str:
    """What will become of `--track`, as a sentence; said before a run begins.

    Raises:
        RunError: if wandb is not installed, or a key is demanded and missing.
    """
    wandb = _wandb()
    mode = _mode(wandb)
    if mode == "online" and not wandb.api.api_key:
        raise RunError("WANDB_MODE is online and there is no key: set WANDB_API_KEY or wandb login")
    if mode == "online":
        return f"tracking: online, project {PROJECT}"
    if mode == "offline":
        return (
            "tracking: offline, since there is no WANDB_API_KEY; `wandb sync FOLDER` uploads what "
            "lies in the run's folder under wandb/"
        )
    return f"tracking: {mode}"


class WandbLogger:
    """Live metrics as `STAGE/METRIC`, each stage with a step of its own."""

    def __init__(self, run: Any) -> None:
        self.run = run
        self._defined: set[str] = set()

    @classmethod
    @contextmanager
    def start(cls, root: Path, config: Any) -> Iterator[WandbLogger]:
        """A run in Weights & Biases that ends with the block.

        Args:
            root: the run's folder; its name is the run's.
            config: its settings, a dataclass or plain JSON.

        Raises:
            RunError: if wandb is not installed, or can't begin.
        """
        wandb = _wandb()
        root.mkdir(parents=True, exist_ok=True)
        try:
            run = wandb.init(
                project=PROJECT,
                name=root.name,
                config=asdict(config) if is_dataclass(config) else dict(config),  # type: ignore[arg-type]
                dir=root,
                mode=_mode(wandb),
                settings=wandb.Settings(silent=True, disable_git=True, save_code=False),
            )
        except wandb.errors.Error as error:
            raise RunError(f"Weights & Biases: {error}") from error
        with run:
            yield cls(run)

    def log(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """See `MetricsLogger.log`."""
        if stage not in self._defined:
            self.run.define_metric(f"{stage}/step")
            self.run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
            self._defined.add(stage)
        values = {f"{stage}/{name}": value for name, value in metrics.items()}
        self.run.log({f"{stage}/step": step, **values})


def track_results(root: Path) -> Path:
    """Logs the finished table and sample dialogues to the run that is going on.

    Returns:
        The folder of the Weights & Biases run.

    Raises:
        RunError: if nothing is being tracked.
    """
    wandb = _wandb()
    run = wandb.run
    if run is None:
        raise RunError("no Weights & Biases run is going on")
    rows = load_rows(root / "benchmark")
    if rows:
        run.log({"benchmark": wandb.Table(dataframe=frame(rows))})
        for row in rows:
            for metric in _SUMMARY:
                run.summary[f"{row.user_model}/{row.agent}/{metric}"] = row.metrics[metric].value
        samples = wandb.Table(columns=["agent", "user_model", "scenario", "outcome", "dialogue"])
        for sample in sample_dialogues(root, rows):
            episode = sample.episode
            samples.add_data(
                sample.agent,
                sample.user_model,
                episode.scenario.id,
                episode.stop.value,
                render_ansi(episode),
            )
        run.log({"dialogues": samples})
    return Path(run.dir).parent


def _wandb() -> Any:
    try:
        import wandb
    except ModuleNotFoundError as error:
        raise RunError("wandb is not installed: pip install 'persuade-env[track]'") from error
    return wandb


def _mode(wandb: Any) -> Any:
    if mode := os.environ.get("WANDB_MODE"):
        return mode
    return "online" if wandb.api.api_key else "offline"

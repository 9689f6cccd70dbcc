"""Logs a run to Weights & Biases: settings, training curves, table, dialogues.

Nothing here is needed for a run, and nothing of a run depends on it: it reads the run's
folder. Without a key (`WANDB_API_KEY` or a login) it logs offline; `wandb sync` uploads that
later.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from experiments.benchmark.dialogues import frame, load_rows
from experiments.common.storage import read_json
from experiments.pipeline.run import run_settings
from experiments.reporting.html_report import REINFORCED, TRAINED, sample_dialogues
from persuade_env.envs.rendering import render_ansi
from persuade_env.errors import RunError


def track(root: Path, *, project: str = "persuade-env", name: str | None = None) -> Path:
    """Logs the run in `root`.

    Returns:
        The folder of the Weights & Biases run.

    Raises:
        RunError: if wandb is not installed, there is no run in `root`, or logging fails.
    """
    try:
        import wandb
    except ModuleNotFoundError as error:
        raise RunError("wandb is not installed: pip install 'persuade-env[track]'") from error
    settings = run_settings(root)
    try:
        run = wandb.init(
            project=project,
            name=name or root.name,
            config=settings,
            dir=root,
            mode=_mode(wandb),
            settings=wandb.Settings(silent=True, disable_git=True, save_code=False),
        )
        with run:
            _log(run, wandb, root)
            return Path(run.dir).parent
    except wandb.errors.Error as error:
        raise RunError(f"Weights & Biases: {error}") from error


def _mode(wandb: Any) -> Any:
    if mode := os.environ.get("WANDB_MODE"):
        return mode
    return "online" if wandb.api.api_key else "offline"


def _log(run: Any, wandb: Any, root: Path) -> None:
    for stage in (*TRAINED, "unseen", *REINFORCED):
        run.define_metric(f"{stage}/step")
        run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
        for number, entry in enumerate(read_json(root / stage / "log.json") or [], start=1):
            known = {k: v for k, v in entry.items() if k != "step" and v is not None}
            metrics = {k: float(v) for k, v in known.items()}
            run.log({f"{stage}/step": number, **{f"{stage}/{k}": v for k, v in metrics.items()}})
    rows = load_rows(root / "benchmark")
    if not rows:
        return  # a model was trained and nothing benchmarked yet
    run.log({"benchmark": wandb.Table(dataframe=frame(rows))})
    for row in rows:
        for metric in ("success", "attitude_gain", "win_rate"):
            run.summary[f"{row.user_model}/{row.agent}/{metric}"] = row.metrics[metric].value
    samples = wandb.Table(columns=["agent", "user_model", "scenario", "outcome", "dialogue"])
    for one in sample_dialogues(root, rows):
        episode = one.episode
        samples.add_data(
            one.agent,
            one.user_model,
            episode.scenario.id,
            episode.stop.value,
            render_ansi(episode),
        )
    run.log({"dialogues": samples})

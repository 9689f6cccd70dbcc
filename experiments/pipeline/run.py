"""The main job: user models, SFT, simulated preferences, DPO, PPO, benchmark, fidelity, report.

A run is a folder with one subfolder per step (`experiments.pipeline.steps`). Calling it again does
what is missing and nothing else; what was made with other settings is never touched.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from pathlib import Path

from experiments.common.memory import release_freed_memory
from experiments.common.resolve import validate_agent, validate_judge, validate_user
from experiments.common.stage import Stage
from experiments.common.storage import locked
from experiments.configs.schema import RunSettings
from experiments.pipeline.context import RunContext
from experiments.pipeline.data import RunData
from experiments.pipeline.steps import STEPS, needed_steps
from persuade_env.errors import UnknownNameError
from persuade_env.metrics import MetricsLogger, NoMetrics
from persuade_env.rewards import Reward

OnProgress = Callable[[str], None]
"""Told one line about each step."""


def run(
    root: Path,
    settings: RunSettings,
    *,
    until: str | None = None,
    fresh: bool = False,
    metrics: MetricsLogger | None = None,
    on_progress: OnProgress = lambda _: None,
) -> None:
    """Makes what is missing of the run in `root`.

    Args:
        root: the run's folder.
        settings: of all steps.
        until: the last step to make; all of them by default.
        fresh: move steps that were made with other settings aside and make them anew.
        metrics: takes numbers while they happen.
        on_progress: told one line about every step.

    Raises:
        RunError: if another process is at work in `root`, it can't be written, or holds steps
            that were made with other settings.
    """
    names = needed_steps(settings)
    if until is not None:
        if until not in names:
            raise UnknownNameError("step", until, names)
        names = names[: names.index(until) + 1]
    _make_all(root, settings, names, fresh, metrics, on_progress)


def train(
    root: Path,
    settings: RunSettings,
    name: str,
    *,
    fresh: bool = False,
    metrics: MetricsLogger | None = None,
    on_progress: OnProgress = lambda _: None,
) -> None:
    """Trains one model of the run in `root`, after what is missing of the steps it needs.

    Args:
        root: the run's folder.
        settings: of all steps.
        name: a step of `experiments.pipeline.steps.STEPS`.
        fresh: move steps that were made with other settings aside and make them anew.
        metrics: takes numbers while they happen.
        on_progress: told one line about every step.

    Raises:
        UnknownNameError: if there is no such step.
        RunError: as `run`.
    """
    if name not in STEPS:
        raise UnknownNameError("step", name, list(STEPS))
    needed = STEPS[name].all_needs(settings) | {name}
    names = [step for step in STEPS if step in needed]
    _make_all(root, settings, names, fresh, metrics, on_progress)


def _make_all(
    root: Path,
    settings: RunSettings,
    names: Iterable[str],
    fresh: bool,
    metrics: MetricsLogger | None,
    on_progress: OnProgress,
) -> None:
    for user in (settings.train_user, *settings.user_models):
        validate_user(user)
    for agent in settings.agents:
        validate_agent(agent)
    validate_judge(settings.benchmark.judge)
    # A term that doesn't exist is worth knowing before the first hour.
    Reward(dict(settings.reward))
    with locked(root):
        context = RunContext(root, settings, RunData.load(settings), metrics=metrics or NoMetrics())
        for name in names:
            make_stage(STEPS[name].stage(context), root, context, fresh, on_progress)


def make_stage(
    stage: Stage, root: Path, context: RunContext, fresh: bool, on_progress: OnProgress
) -> None:
    """Makes a stage where it is missing, and lets go of the models that were loaded for it."""
    made = stage.run(root, fresh=fresh)
    context.models.clear()
    release_freed_memory()
    on_progress(f"{stage.name}: {'done' if made else 'unchanged, kept'}")


def machine() -> str:
    """Processor, cores, Python: what a published time needs beside it."""
    import os

    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return (
        f"{device}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"torch {torch.__version__}"
    )

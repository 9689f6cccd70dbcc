"""The main job: user models, SFT, simulated preferences, DPO, PPO, benchmark, card, report.

A run is a folder with one subfolder per stage (`experiments.common.stage`). Calling it again does
what is missing and nothing else.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from experiments.common.memory import release_freed_memory
from experiments.common.resolve import (
    clear_model_caches,
    user_digests,
    user_stages,
    validate_user,
)
from experiments.common.stage import Stage, digest
from experiments.common.storage import locked, read_json
from experiments.configs.schema import RunSettings
from experiments.pipeline import rl_steps as reinforcement
from experiments.pipeline import steps as stage_work
from experiments.pipeline.data import RunData, dump, left_out_domains
from persuade_env import __version__
from persuade_env.errors import RunError, UnknownNameError
from persuade_env.scenarios import halves

STAGES = (
    "prepare", "user-model", "held-out", "sft", "preferences", "dpo", "ppo", "benchmark",
    "fidelity", "report",
)  # fmt: skip
"""What a run goes through, in order; also the names of its subfolders."""

_BEFORE = {
    "user-model": ("prepare",),
    "held-out": ("prepare",),
    "unseen": ("prepare",),
    "sft": ("prepare",),
    "dpo": ("prepare", "sft", "preferences"),
    "ppo": ("prepare", "sft"),
    "grpo": ("prepare", "sft"),
}
"""What can be trained by itself, and the stages that it needs, beside the users it learns from."""
AGENTS = ("dpo", "ppo", "grpo")
"""What learns from a user."""


def run(
    root: Path,
    settings: RunSettings,
    *,
    until: str | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Makes what is missing of the run in `root`.

    Args:
        until: the last stage to make; all of them by default.
        say: told one line about every stage.

    Raises:
        RunError: if another process is at work in `root`, or it can't be written.
    """
    validate_user(settings.train_user)
    stages = run_stages(settings)
    with locked(root):
        for stage in stages_of(root, settings):
            if stage.name in stages:
                make(stage, root, on_progress)
            if stage.name == until:
                return


def train(
    root: Path,
    settings: RunSettings,
    name: str,
    *,
    on_progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Trains one model of the run in `root`, after what is missing of the stages it needs.

    Raises:
        UnknownNameError: if nothing of that name is trained.
        RunError: if another process is at work in `root`, or it can't be written.
    """
    if name not in _BEFORE:
        raise UnknownNameError("model to train", name, list(_BEFORE))
    validate_user(settings.train_user)
    needed = {*_BEFORE[name], name}
    if name in AGENTS:
        needed.update(user_stages(settings.train_user))
    with locked(root):
        for stage in stages_of(root, settings):
            if stage.name in needed:
                make(stage, root, on_progress)
            if stage.name == name:
                return


def make(stage: Stage, root: Path, on_progress: Callable[[str], None]) -> None:
    """Makes a stage where it is missing, and lets go of the models that were loaded for it."""
    made = stage.run(root)
    clear_model_caches()
    release_freed_memory()
    on_progress(f"{stage.name}: {'done' if made else 'unchanged, kept'}")


def run_stages(settings: RunSettings) -> list[str]:
    """Of `STAGES`, and of the user models, what a run with these settings needs."""
    used = {
        stage
        for user in (*settings.user_models, settings.train_user)
        for stage in user_stages(user)
    }
    return [one for one in (*STAGES, "unseen") if one in used or one not in ("held-out", "unseen")]


def stages_of(root: Path, settings: RunSettings) -> Iterator[Stage]:
    """All there are, one after the other, also what only `train` makes.

    Each one's inputs are known when those before are made.
    """
    data = RunData.load(settings)
    common, limit = _common(settings), _limit(settings)
    yield Stage(
        "prepare",
        partial(stage_work.prepare, settings, data),
        {
            **common,
            "scenarios": dump([*data.train, *data.validation, *data.test]),
            "settings": asdict(settings),
        },
    )
    first, second = halves(data.train)
    unseen = left_out_domains(data.train)
    kept = [record for record in first if record.domain not in unseen]
    users = {"user-model": first, "held-out": second, "unseen": kept}
    for name, part in users.items():
        yield Stage(
            name,
            partial(stage_work.make_user_model, name, part, settings),
            {**common, "scenarios": dump(part), "settings": asdict(settings.user_model)},
        )
    yield Stage(
        "sft",
        partial(stage_work.make_sft, data.train, settings),
        {**common, "scenarios": dump(data.train), "settings": asdict(settings.sft)},
    )
    yield preferences_stage(root, data, settings)
    yield dpo_stage(root, root / "preferences", settings)
    yield reinforcement.stage("ppo", root, data, settings)
    yield reinforcement.stage("grpo", root, data, settings)
    yield Stage(
        "benchmark",
        partial(stage_work.play, root, data.test, settings),
        {
            **common,
            **limit,
            "scenarios": dump(data.test),
            "checkpoints": {
                name: digest(root / name)
                for name in ("user-model", "held-out", "sft", "dpo", "ppo")
            },
            "agents": settings.agents,
            "user_models": settings.user_models,
            "settings": asdict(settings.benchmark),
        },
    )
    yield Stage(
        "fidelity",
        partial(stage_work.make_fidelity, root, data.test, settings),
        {
            **common,
            "scenarios": dump(data.test),
            "user_model": digest(root / "user-model"),
            "card_scenarios": settings.fidelity_scenarios,
        },
    )
    yield Stage(
        "report",
        partial(stage_work.make_report, root),
        {name: digest(root / name) for name in STAGES[:-1]},
    )


def preferences_stage(root: Path, data: RunData, settings: RunSettings) -> Stage:
    """Simulates preferences with the SFT persuader and the user models of the run in `root`."""
    return Stage(
        "preferences",
        partial(stage_work.make_preferences, root, data.train, settings),
        {
            **_common(settings),
            **_limit(settings),
            "against": settings.train_user,
            "user_models": user_digests(root, settings.train_user),
            "sft": digest(root / "sft"),
            "contexts": [settings.n_contexts, settings.contexts_per_batch],
            "settings": asdict(settings.preferences),
        },
    )


def dpo_stage(root: Path, preferences: Path, settings: RunSettings) -> Stage:
    """Trains the SFT persuader of the run in `root` on simulated preferences.

    Args:
        preferences: the folder of the stage that simulated them.
    """
    return Stage(
        "dpo",
        partial(stage_work.make_dpo, root / "sft", preferences, settings),
        {
            **_common(settings),
            "sft": digest(root / "sft"),
            "preferences": digest(preferences),
            "settings": asdict(settings.dpo),
        },
    )


def _common(settings: RunSettings) -> dict[str, Any]:
    return {"version": __version__, "base": settings.base, "seed": settings.seed}


def _limit(settings: RunSettings) -> dict[str, Any]:
    return {"max_reply_tokens": settings.max_reply_tokens}


def machine() -> str:
    """Processor, cores, Python: what a published time needs beside it."""
    import os

    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return (
        f"{device}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"torch {torch.__version__}"
    )


def run_settings(root: Path) -> dict[str, Any]:
    """The settings that a run was made with.

    Raises:
        RunError: if there is no run in `root`.
    """
    found = read_json(root / "prepare" / "settings.json")
    if found is None:
        raise RunError(f"no run in {root}: `persuade run` makes one")
    return dict(found)

"""PPO and GRPO on a run, against its users. PPO is part of a run, GRPO on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from experiments.common.progress import bar, training_bar
from experiments.common.resolve import resolve_user_spec, user_digests, user_model_loader
from experiments.common.stage import Stage, digest
from experiments.common.storage import write_json
from experiments.configs.schema import RunSettings
from experiments.pipeline.data import RunData, dump, keep_log
from persuade_env import __version__
from persuade_env.dialogue import ScenarioRecord

ALGORITHMS = ("ppo", "grpo")
"""What `stage` takes; also the names of the checkpoints' folders in a run."""

CLOCK = "timings.json"
"""In the folder of either: the seconds that each iteration took, apart from its results."""


def stage(algorithm: str, root: Path, data: RunData, settings: RunSettings) -> Stage:
    """Trains the SFT persuader of the run in `root` by one of the `ALGORITHMS`."""
    chosen = settings.ppo if algorithm == "ppo" else settings.grpo
    make = _ppo if algorithm == "ppo" else _grpo
    return Stage(
        algorithm,
        partial(make, root, data.train, settings),
        {
            "version": __version__,
            "max_reply_tokens": settings.max_reply_tokens,
            "against": settings.train_user,
            "user_models": user_digests(root, settings.train_user),
            "sft": digest(root / "sft"),
            "scenarios": dump(data.train),
            "settings": asdict(replace(chosen, seed=settings.seed)),
        },
    )


def _ppo(
    root: Path, records: Sequence[ScenarioRecord], settings: RunSettings, folder: Path
) -> None:
    from agents.training.ppo import train_ppo

    chosen = replace(settings.ppo, seed=settings.seed)
    with bar("ppo", chosen.iterations, "iteration") as shown:

        def report(numbers: Mapping[str, float]) -> None:
            shown.set_postfix(gain=f"{numbers['attitude_gain']:.2f}", refresh=False)
            shown.update(int(numbers["iteration"]) + 1 - shown.n)

        log = train_ppo(
            root / "sft",
            folder,
            user_model_loader(
                resolve_user_spec(root, settings.train_user), settings.max_reply_tokens
            )(),
            [record.scenario for record in records],
            settings=chosen,
            report=report,
        )
    write_json(folder / CLOCK, [one["seconds"] for one in log])
    keep_log(folder, log)


def _grpo(
    root: Path, records: Sequence[ScenarioRecord], settings: RunSettings, folder: Path
) -> None:
    from agents.training.grpo import train_grpo

    log = train_grpo(
        root / "sft",
        folder,
        user_model_loader(
            resolve_user_spec(root, settings.train_user), settings.max_reply_tokens
        )(),
        [record.scenario for record in records],
        settings=replace(settings.grpo, seed=settings.seed),
        callbacks=[training_bar("grpo")],
    )
    write_json(folder / CLOCK, [one["seconds"] for one in log])
    keep_log(folder, log)

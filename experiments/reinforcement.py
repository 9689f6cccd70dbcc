"""PPO and GRPO on a run: trained on request, because they would double a run's time on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from experiments.names import user_model_in, user_model_loader
from experiments.pipeline import RunData, dump, keep_log, stages_of
from experiments.presets import RunSettings
from experiments.progress import bar, training_bar
from experiments.stages import Stage, digest
from experiments.storage import locked
from persuade_env import __version__
from persuade_env.dialogue import ScenarioRecord
from persuade_env.errors import UnknownNameError

ALGORITHMS = ("ppo", "grpo")
"""What `train` takes; also the names of the checkpoints' folders in a run."""


def train(
    root: Path,
    settings: RunSettings,
    algorithm: str,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Trains in `root/ALGORITHM` against the learned user, after what is missing before it.

    Raises:
        UnknownNameError: if there is no such algorithm.
        RunError: if another process is at work in `root`, or it can't be written.
    """
    if algorithm not in ALGORITHMS:
        raise UnknownNameError("algorithm", algorithm, ALGORITHMS)
    chosen = settings.ppo if algorithm == "ppo" else settings.grpo
    make = _ppo if algorithm == "ppo" else _grpo
    with locked(root):
        for stage in stages_of(root, settings):
            if stage.name == "preferences":
                break
            say(f"{stage.name}: {'done' if stage.run(root) else 'unchanged, kept'}")
        data = RunData.load(settings)
        stage = Stage(
            algorithm,
            partial(make, root, data.train, settings),
            {
                "version": __version__,
                "user_model": digest(root / "user-model"),
                "sft": digest(root / "sft"),
                "scenarios": dump(data.train),
                "settings": asdict(replace(chosen, seed=settings.seed)),
            },
        )
        say(f"{algorithm}: {'done' if stage.run(root) else 'unchanged, kept'}")


def _ppo(
    root: Path, records: Sequence[ScenarioRecord], settings: RunSettings, folder: Path
) -> None:
    from agents.ppo import train_ppo

    chosen = replace(settings.ppo, seed=settings.seed)
    with bar("ppo", chosen.iterations, "iteration") as shown:

        def report(numbers: Mapping[str, float]) -> None:
            shown.set_postfix(gain=f"{numbers['attitude_gain']:.2f}", refresh=False)
            shown.update(int(numbers["iteration"]) + 1 - shown.n)

        log = train_ppo(
            root / "sft",
            folder,
            user_model_loader(user_model_in(root, "learned"), settings.max_reply_tokens)(),
            [record.scenario for record in records],
            settings=chosen,
            report=report,
        )
    keep_log(folder, log)


def _grpo(
    root: Path, records: Sequence[ScenarioRecord], settings: RunSettings, folder: Path
) -> None:
    from agents.grpo import train_grpo

    log = train_grpo(
        root / "sft",
        folder,
        user_model_loader(user_model_in(root, "learned"), settings.max_reply_tokens)(),
        [record.scenario for record in records],
        settings=replace(settings.grpo, seed=settings.seed),
        callbacks=[training_bar("grpo")],
    )
    keep_log(folder, log)

"""The main job: user models, SFT, simulated preferences, DPO, PPO, benchmark, report.

A run is a folder with one subfolder per stage (`experiments.stages`). Calling it again does
what is missing and nothing else.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from agents.dpo import train_dpo
from agents.preferences import (
    Context,
    SimulatedContext,
    contexts_of,
    preferences,
    simulate,
)
from agents.sft import train_sft
from experiments import reinforcement
from experiments.benchmark import Row, run_benchmark
from experiments.memory import release_freed_memory
from experiments.names import (
    agent_in,
    agent_loader,
    check_user,
    forget_models,
    user_digests,
    user_model_in,
    user_model_loader,
    user_stages,
)
from experiments.presets import RunSettings
from experiments.progress import bar, training_bar
from experiments.run_data import DOMAINS, RunData, dump, keep_log, left_out_domains
from experiments.stages import Stage, digest
from experiments.storage import BatchLog, locked, read_json, write_atomically, write_json
from persuade_env import __version__
from persuade_env.chat.embedded import resolve
from persuade_env.dialogue import Scenario, ScenarioRecord
from persuade_env.errors import RunError, UnknownNameError
from persuade_env.protocols import Persuader, UserModel
from persuade_env.scenarios import SPLITS, halves
from persuade_env.seeding import derive_seed, generator
from user_models.training import train_user_model

STAGES = (
    "prepare", "user-model", "held-out", "sft", "preferences", "dpo", "ppo", "benchmark", "report",
)  # fmt: skip
"""What a run goes through, in order; also the names of its subfolders."""

_BEFORE = {
    "user-model": ("prepare",),
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
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Makes what is missing of the run in `root`.

    Args:
        until: the last stage to make; all of them by default.
        say: told one line about every stage.

    Raises:
        RunError: if another process is at work in `root`, or it can't be written.
    """
    check_user(settings.against)
    stages = run_stages(settings)
    with locked(root):
        for stage in stages_of(root, settings):
            if stage.name in stages:
                make(stage, root, say)
            if stage.name == until:
                return


def train(
    root: Path,
    settings: RunSettings,
    name: str,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Trains one model of the run in `root`, after what is missing of the stages it needs.

    Raises:
        UnknownNameError: if nothing of that name is trained.
        RunError: if another process is at work in `root`, or it can't be written.
    """
    if name not in _BEFORE:
        raise UnknownNameError("model to train", name, list(_BEFORE))
    check_user(settings.against)
    needed = {*_BEFORE[name], name}
    if name in AGENTS:
        needed.update(user_stages(settings.against))
    with locked(root):
        for stage in stages_of(root, settings):
            if stage.name in needed:
                make(stage, root, say)
            if stage.name == name:
                return


def make(stage: Stage, root: Path, say: Callable[[str], None]) -> None:
    """Makes a stage where it is missing, and lets go of the models that were loaded for it."""
    made = stage.run(root)
    forget_models()
    release_freed_memory()
    say(f"{stage.name}: {'done' if made else 'unchanged, kept'}")


def run_stages(settings: RunSettings) -> list[str]:
    """Of `STAGES`, and of the user models, what a run with these settings needs."""
    used = {
        stage for user in (*settings.user_models, settings.against) for stage in user_stages(user)
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
        partial(_prepare, settings, data),
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
            partial(_train_user_model, name, part, settings),
            {**common, "scenarios": dump(part), "settings": asdict(settings.user_model)},
        )
    yield Stage(
        "sft",
        partial(_train_sft, data.train, settings),
        {**common, "scenarios": dump(data.train), "settings": asdict(settings.sft)},
    )
    yield preferences_stage(root, data, settings)
    yield dpo_stage(root, root / "preferences", settings)
    yield reinforcement.stage("ppo", root, data, settings)
    yield reinforcement.stage("grpo", root, data, settings)
    yield Stage(
        "benchmark",
        partial(_benchmark, root, data.test, settings),
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
        "report",
        partial(_report, root),
        {name: digest(root / name) for name in STAGES[:-1]},
    )


def preferences_stage(root: Path, data: RunData, settings: RunSettings) -> Stage:
    """Simulates preferences with the SFT persuader and the user models of the run in `root`."""
    return Stage(
        "preferences",
        partial(_simulate, root, data.train, settings),
        {
            **_common(settings),
            **_limit(settings),
            "against": settings.against,
            "user_models": user_digests(root, settings.against),
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
        partial(_train_dpo, root / "sft", preferences, settings),
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


def _prepare(settings: RunSettings, data: RunData, folder: Path) -> None:
    resolve(settings.base)  # converts the embedded model, once per machine
    write_json(folder / "settings.json", asdict(settings))
    splits = {split: [record.id for record in getattr(data, split)] for split in SPLITS}
    splits["user-model"], splits["held-out"] = (
        [record.id for record in half] for half in halves(data.train)
    )
    write_json(folder / "splits.json", splits)


def _train_user_model(
    name: str, records: Sequence[ScenarioRecord], settings: RunSettings, folder: Path
) -> None:
    if name == "unseen":
        write_json(folder / DOMAINS, sorted({record.domain for record in records}))
    log = train_user_model(
        records,
        folder,
        base=settings.base,
        settings=settings.user_model,
        seed=derive_seed(settings.seed, name),
        callbacks=[training_bar(name)],
    )
    keep_log(folder, log)


def _train_sft(records: Sequence[ScenarioRecord], settings: RunSettings, folder: Path) -> None:
    sft = replace(settings.sft, lora=replace(settings.sft.lora, seed=settings.seed))
    log = train_sft(
        records, folder, base=settings.base, settings=sft, callbacks=[training_bar("sft")]
    )
    keep_log(folder, log)


def _simulate(
    root: Path, records: Sequence[ScenarioRecord], settings: RunSettings, folder: Path
) -> None:
    contexts = _choose(contexts_of(records), settings)
    size = settings.contexts_per_batch
    log = BatchLog(folder / "simulated.jsonl")
    done = log.read()
    simulated: list[SimulatedContext] = []
    persuader: Persuader | None = None
    limit = settings.max_reply_tokens
    with bar("preferences", len(contexts), "context") as shown:
        for start in range(0, len(contexts), size):
            batch, key = contexts[start : start + size], str(start)
            if key in done:
                found = [SimulatedContext.from_json(row) for row in done[key]]
            else:
                persuader = persuader or agent_loader(agent_in(root, "sft"), limit)()
                found = simulate(
                    batch,
                    persuader,
                    user_model_loader(user_model_in(root, settings.against), limit)(),
                    settings=settings.preferences,
                    seed=settings.seed,
                )
                log.append(key, [one.to_json() for one in found])
            simulated += found
            shown.update(len(batch))
    pairs = preferences(simulated, settings.preferences)
    lines = [json.dumps(asdict(pair), ensure_ascii=False) for pair in pairs]
    write_atomically(folder / "preferences.jsonl", "\n".join([*lines, ""]) if lines else "")
    candidates = [one for context in simulated for one in context.candidates]
    write_json(
        folder / "summary.json",
        {
            "contexts": len(simulated),
            "candidates": len(candidates),
            "malformed_candidates": sum(one.malformed for one in candidates),
            "failed_paths": sum(bool(p.error_kind) for one in candidates for p in one.paths),
            "pairs": len(pairs),
        },
    )


def _choose(contexts: Sequence[Context], settings: RunSettings) -> list[Context]:
    """The contexts to simulate at, drawn without replacement by the run's seed."""
    rng = generator(derive_seed(settings.seed, "contexts"))
    order = rng.permutation(len(contexts))[: settings.n_contexts]
    return [contexts[index] for index in order]


def _train_dpo(sft: Path, simulated: Path, settings: RunSettings, folder: Path) -> None:
    from agents.preferences import load_preferences

    pairs = load_preferences(simulated / "preferences.jsonl")
    if not pairs:
        raise RunError(
            "the simulated paths gave no clear preference to train DPO on; raise n_contexts or "
            f"lower the margin (see {simulated / 'summary.json'})"
        )
    log = train_dpo(
        pairs,
        sft,
        folder,
        settings=replace(settings.dpo, seed=settings.seed),
        callbacks=[training_bar("dpo")],
    )
    keep_log(folder, log)


def _benchmark(
    root: Path, records: Sequence[ScenarioRecord], settings: RunSettings, folder: Path
) -> None:
    benchmark(
        {name: agent_in(root, name) for name in settings.agents},
        {name: user_model_in(root, name) for name in settings.user_models},
        [record.scenario for record in records],
        folder,
        settings,
    )


def benchmark(
    agents: Mapping[str, str],
    user_models: Mapping[str, str],
    scenarios: Sequence[Scenario],
    folder: Path,
    settings: RunSettings,
) -> list[Row]:
    """Every agent against every user model, with a progress bar; specs by the name to show."""
    episodes = (
        len(agents) * len(user_models) * len(scenarios) * settings.benchmark.episodes_per_scenario
    )
    limit = settings.max_reply_tokens
    with bar("benchmark", episodes, "dialogue") as shown:

        def progress(pair: str, count: int) -> None:
            shown.set_postfix_str(pair, refresh=False)
            shown.update(count)

        return run_benchmark(
            {name: agent_loader(spec, limit) for name, spec in agents.items()},
            {name: _alone(user_model_loader(spec, limit)) for name, spec in user_models.items()},
            scenarios,
            folder,
            replace(settings.benchmark, seed=settings.seed),
            progress,
        )


def _alone(load: Callable[[], UserModel]) -> Callable[[], UserModel]:
    """Loads a user model when the last one and what was read for it have been let go."""

    def load_alone() -> UserModel:
        forget_models()
        release_freed_memory()
        return load()

    return load_alone


def _report(root: Path, folder: Path) -> None:
    from experiments.report import write_report

    write_report(root, folder / "report.html")


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

"""How each stage of a run is made: what fills its folder, given what it is made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from agents.preferences.simulate import (
    PreferenceContext,
    SimulatedPreferences,
    preference_contexts,
    preferences,
    simulate,
)
from agents.training.dpo import train_dpo
from agents.training.sft import train_sft
from experiments.benchmark.dialogues import Row, run_benchmark
from experiments.common.measures import MEASURES_FILE, write_measures
from experiments.common.memory import release_freed_memory
from experiments.common.progress import bar, late_bar, training_bar
from experiments.common.resolve import (
    agent_loader,
    clear_model_caches,
    resolve_agent_spec,
    resolve_user_spec,
    user_model_loader,
)
from experiments.common.storage import BatchLog, write_atomically, write_json
from experiments.configs.schema import RunSettings
from experiments.pipeline.data import DOMAINS, RunData, keep_log
from persuade_env.dialogue import Scenario, ScenarioRecord
from persuade_env.errors import RunError
from persuade_env.llm.builtin_model import resolve
from persuade_env.protocols import Persuader, UserModel
from persuade_env.registry import load_user_model
from persuade_env.scenarios import SPLITS, halves
from persuade_env.seeding import derive_seed, generator
from user_models.learned.training.train import train_user_model


def prepare(settings: RunSettings, data: RunData, folder: Path) -> None:
    resolve(settings.base)  # converts the embedded model, once per machine
    write_json(folder / "settings.json", asdict(settings))
    splits = {split: [record.id for record in getattr(data, split)] for split in SPLITS}
    splits["user-model"], splits["held-out"] = (
        [record.id for record in half] for half in halves(data.train)
    )
    write_json(folder / "splits.json", splits)


def make_user_model(
    name: str, records: Sequence[ScenarioRecord], settings: RunSettings, folder: Path
) -> None:
    if name == "unseen":
        write_json(folder / DOMAINS, sorted({record.domain for record in records}))
    attitude_model = settings.user_model.attitude_model
    with late_bar(
        "own words", attitude_model.model_samples if attitude_model else None, "reply"
    ) as progress:
        log = train_user_model(
            records,
            folder,
            base=settings.base,
            settings=settings.user_model,
            seed=derive_seed(settings.seed, name),
            callbacks=[training_bar(name)],
            progress=progress,
        )
    keep_log(folder, log)


def make_sft(records: Sequence[ScenarioRecord], settings: RunSettings, folder: Path) -> None:
    sft = replace(settings.sft, lora=replace(settings.sft.lora, seed=settings.seed))
    log = train_sft(
        records, folder, base=settings.base, settings=sft, callbacks=[training_bar("sft")]
    )
    keep_log(folder, log)


def make_preferences(
    root: Path, records: Sequence[ScenarioRecord], settings: RunSettings, folder: Path
) -> None:
    contexts = _choose(preference_contexts(records), settings)
    size = settings.contexts_per_batch
    log = BatchLog(folder / "simulated.jsonl")
    done = log.read()
    simulated: list[SimulatedPreferences] = []
    persuader: Persuader | None = None
    limit = settings.max_reply_tokens
    with bar("preferences", len(contexts), "context") as shown:
        for start in range(0, len(contexts), size):
            batch, key = contexts[start : start + size], str(start)
            if key in done:
                found = [SimulatedPreferences.from_json(row) for row in done[key]]
            else:
                persuader = persuader or agent_loader(resolve_agent_spec(root, "sft"), limit)()
                found = simulate(
                    batch,
                    persuader,
                    user_model_loader(resolve_user_spec(root, settings.train_user), limit)(),
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


def _choose(
    contexts: Sequence[PreferenceContext], settings: RunSettings
) -> list[PreferenceContext]:
    """The contexts to simulate at, drawn without replacement by the run's seed."""
    rng = generator(derive_seed(settings.seed, "contexts"))
    order = rng.permutation(len(contexts))[: settings.n_contexts]
    return [contexts[index] for index in order]


def make_dpo(sft: Path, simulated: Path, settings: RunSettings, folder: Path) -> None:
    from agents.preferences.simulate import load_preferences

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


def play(
    root: Path, records: Sequence[ScenarioRecord], settings: RunSettings, folder: Path
) -> None:
    benchmark(
        {name: resolve_agent_spec(root, name) for name in settings.agents},
        {name: resolve_user_spec(root, name) for name in settings.user_models},
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
        clear_model_caches()
        release_freed_memory()
        return load()

    return load_alone


def make_fidelity(
    root: Path, records: Sequence[ScenarioRecord], settings: RunSettings, folder: Path
) -> None:
    """The fidelity card of the run's learned user, without its words (`persuade fidelity`)."""
    from experiments.fidelity.probes.replay import attitude_only
    from experiments.fidelity.report import fidelity_report

    user_model = load_user_model(resolve_user_spec(root, "learned"))
    with bar("fidelity", None, "reply") as shown:

        def progress(test: str, count: int) -> None:
            shown.set_postfix_str(test, refresh=False)
            shown.update(count)

        try:
            measures = fidelity_report(
                attitude_only(user_model, records),
                records,
                seed=settings.seed,
                limit=settings.fidelity_scenarios,
                progress=progress,
            )
        except RunError as error:  # a scenario file without what the probes need
            write_json(folder / MEASURES_FILE, {"measures": [], "why": str(error)})
            return
    provenance = {"user_model": "learned", "scenarios": "test", "seed": settings.seed}
    write_measures(measures, folder, {**provenance, "words": False})


def make_report(root: Path, folder: Path) -> None:
    from experiments.reporting.html_report import write_measures

    write_measures(root, folder / "report.html")

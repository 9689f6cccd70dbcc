"""How each step of a run is made: what fills its folder, given the run that it is part of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from agents.preferences.data import PreferenceContext, SimulatedPreferences, preference_contexts
from experiments.common.memory import release_freed_memory
from experiments.common.progress import counting_bar, late_bar, progress_bar, training_bar
from experiments.common.resolve import (
    agent_loader,
    resolve_agent_spec,
    resolve_user_spec,
    user_model_loader,
)
from experiments.common.storage import BatchLog, write_atomically, write_json
from experiments.configs.load import to_toml
from experiments.configs.schema import RunSettings
from experiments.pipeline.context import RunContext
from experiments.pipeline.data import DOMAINS, keep_log
from persuade_env.dialogue import Scenario, ScenarioRecord
from persuade_env.errors import RunError
from persuade_env.protocols import Persuader, UserModel
from persuade_env.scenarios import SPLITS, halves
from persuade_env.seeding import derive_seed, generator
from persuade_env.spec import Spec

TIMINGS_FILE = "timings.json"
"""In the folder of PPO and GRPO: the seconds that each iteration took, apart from its results."""
SETTINGS = "settings.toml"
"""In the folder of `prepare`: the run's settings, all of them; `--config` takes it back."""


def prepare(context: RunContext, folder: Path) -> None:
    """Writes down settings and splits, and fetches the base model."""
    from persuade_env.llm.builtin_model import resolve

    resolve(context.settings.base)  # converts the embedded model, once per machine
    write_json(folder / "settings.json", asdict(context.settings))
    write_atomically(folder / SETTINGS, to_toml(context.settings))
    splits = {split: [record.id for record in getattr(context.data, split)] for split in SPLITS}
    splits["user-model"], splits["held-out"] = (
        [record.id for record in half] for half in halves(context.data.train)
    )
    write_json(folder / "splits.json", splits)


def user_model(
    name: str, records: Sequence[ScenarioRecord], context: RunContext, folder: Path
) -> None:
    """Trains a learned user on some of the training scenarios."""
    from user_models.learned.training.train import train_user_model

    settings = context.settings
    if name == "unseen":
        write_json(folder / DOMAINS, sorted({record.domain for record in records}))
    regressor, linear = settings.user_model.attitude_regressor, settings.user_model.attitude_model
    if regressor is not None:
        bar = late_bar("attitude regressor", None, "dialogue")
    else:
        bar = late_bar("model samples", linear.model_samples if linear else None, "reply")
    with bar as progress:
        log = train_user_model(
            records,
            folder,
            base=settings.base,
            settings=settings.user_model,
            seed=derive_seed(settings.seed, name),
            callbacks=training_callbacks(name, context),
            progress=progress,
        )
    keep_log(folder, log)


def sft(context: RunContext, folder: Path) -> None:
    """Trains the SFT persuader on recorded persuader turns."""
    from agents.training.sft import train_sft

    settings = context.settings
    log = train_sft(
        context.data.train,
        folder,
        base=settings.base,
        settings=replace(settings.sft, lora=replace(settings.sft.lora, seed=settings.seed)),
        callbacks=training_callbacks("sft", context),
    )
    keep_log(folder, log)


def simulated_preferences(context: RunContext, folder: Path) -> None:
    """Simulates preferences with the SFT persuader and the user that is trained against."""
    from agents.preferences.simulate import preferences as clear_pairs
    from agents.preferences.simulate import simulate

    settings = context.settings
    contexts = draw_contexts(context.data.train, settings, settings.n_contexts)
    size = settings.contexts_per_batch
    log = BatchLog(folder / "simulated.jsonl")
    done = log.read()
    simulated: list[SimulatedPreferences] = []
    persuader: Persuader | None = None
    train_user: UserModel | None = None
    with progress_bar("preferences", len(contexts), "context") as bar:
        for start in range(0, len(contexts), size):
            batch, key = contexts[start : start + size], str(start)
            if key in done:
                results = [SimulatedPreferences.from_json(row) for row in done[key]]
            else:
                persuader = persuader or run_agent(context, "sft")
                train_user = train_user or train_user_of(context)
                results = simulate(
                    batch,
                    persuader,
                    train_user,
                    settings=settings.preferences,
                    max_turns=settings.max_turns,
                    seed=settings.seed,
                )
                log.append(key, [result.to_json() for result in results])
            simulated += results
            bar.update(len(batch))
            candidates = [candidate for result in simulated for candidate in result.candidates]
            context.metrics.log(
                "preferences",
                len(simulated),
                {
                    "malformed": _share(candidate.malformed for candidate in candidates),
                    "failed": _share(bool(candidate.error_kind) for candidate in candidates),
                },
            )
    pairs = clear_pairs(simulated, settings.preferences)
    lines = [json.dumps(asdict(pair), ensure_ascii=False) for pair in pairs]
    write_atomically(folder / "preferences.jsonl", "\n".join([*lines, ""]) if lines else "")
    candidates = [candidate for result in simulated for candidate in result.candidates]
    write_json(
        folder / "summary.json",
        {
            "contexts": len(simulated),
            "candidates": len(candidates),
            "malformed_candidates": sum(candidate.malformed for candidate in candidates),
            "failed_paths": sum(
                bool(path.error_kind) for candidate in candidates for path in candidate.paths
            ),
            "pairs": len(pairs),
        },
    )


def _share(flags: Iterable[bool]) -> float:
    values = [float(flag) for flag in flags]
    return sum(values) / len(values) if values else 0.0


def draw_contexts(
    records: Sequence[ScenarioRecord], settings: RunSettings, count: int
) -> list[PreferenceContext]:
    """Contexts of recorded dialogues, drawn without replacement by the run's seed.

    None at which a dialogue of `max_turns` has ended.
    """
    contexts = [
        one
        for one in preference_contexts(records)
        if len(one.dialogue.persuader_turns) < settings.max_turns
    ]
    rng = generator(derive_seed(settings.seed, "contexts"))
    order = rng.permutation(len(contexts))[:count]
    return [contexts[index] for index in order]


def dpo(context: RunContext, folder: Path) -> None:
    """Trains the SFT persuader on preferences."""
    from agents.preferences.data import load_preferences
    from agents.training.dpo import train_dpo

    simulated = context.folder("preferences")
    pairs = load_preferences(simulated / "preferences.jsonl")
    if not pairs:
        raise RunError(
            "the candidates gave no clear preference to train DPO on; raise the number of contexts "
            f"or lower the margin (see {simulated / 'summary.json'})"
        )
    log = train_dpo(
        pairs,
        context.folder("sft"),
        folder,
        settings=replace(context.settings.dpo, seed=context.settings.seed),
        callbacks=training_callbacks("dpo", context),
    )
    keep_log(folder, log)


def ppo(context: RunContext, folder: Path) -> None:
    """Trains the SFT persuader by PPO, in dialogues with the user that is trained against."""
    from agents.training.ppo import train_ppo

    settings = replace(context.settings.ppo, seed=context.settings.seed)
    with progress_bar("ppo", settings.iterations, "iteration") as bar:

        def report(numbers: Mapping[str, float]) -> None:
            iteration = int(numbers["iteration"]) + 1
            context.metrics.log("ppo", iteration, numbers)
            bar.set_postfix(gain=f"{numbers['attitude_gain']:.2f}", refresh=False)
            bar.update(iteration - bar.n)

        log = train_ppo(
            context.folder("sft"),
            folder,
            train_user_of(context),
            [record.scenario for record in context.data.train],
            settings=settings,
            report=report,
        )
    write_json(folder / TIMINGS_FILE, [entry["seconds"] for entry in log])
    keep_log(folder, log)


def grpo(context: RunContext, folder: Path) -> None:
    """Trains the SFT persuader by GRPO, in dialogues with the user that is trained against."""
    from agents.training.grpo import train_grpo

    log = train_grpo(
        context.folder("sft"),
        folder,
        train_user_of(context),
        [record.scenario for record in context.data.train],
        settings=replace(context.settings.grpo, seed=context.settings.seed),
        callbacks=training_callbacks("grpo", context),
        metrics=context.metrics,
    )
    write_json(folder / TIMINGS_FILE, [entry["seconds"] for entry in log])
    keep_log(folder, log)


def benchmark(context: RunContext, folder: Path) -> None:
    """Plays every agent against every user model, on test scenarios."""
    root, settings = context.root, context.settings
    play_benchmark(
        {name: resolve_agent_spec(root, name) for name in settings.agents},
        {name: resolve_user_spec(root, name) for name in settings.user_models},
        [record.scenario for record in context.data.test],
        folder,
        context,
    )


def play_benchmark(
    agents: Mapping[str, Spec],
    user_models: Mapping[str, Spec],
    scenarios: Sequence[Scenario],
    folder: Path,
    context: RunContext,
) -> None:
    """Every agent against every user model, with a progress bar; specs by the name to show."""
    from experiments.benchmark.dialogues import run_benchmark
    from experiments.benchmark.summary import require_dialogues

    settings, models = context.settings, context.models
    limit = settings.max_reply_tokens
    dialogues = (
        len(agents) * len(user_models) * len(scenarios) * settings.benchmark.episodes_per_scenario
    )
    with counting_bar("benchmark", dialogues, "dialogue") as progress:
        rows = run_benchmark(
            {name: agent_loader(spec, models, limit) for name, spec in agents.items()},
            {
                name: _loaded_alone(user_model_loader(spec, models, limit), context)
                for name, spec in user_models.items()
            },
            scenarios,
            folder,
            replace(settings.benchmark, seed=settings.seed),
            progress,
            metrics=context.metrics,
        )
    require_dialogues(rows)


def fidelity(context: RunContext, folder: Path) -> None:
    """Measures the run's learned user, and whether it and the SFT persuader make sense.

    How its words are distributed, and what people did, is left to `persuade fidelity`.
    """
    from experiments.common.measures import Measure, write_measures
    from experiments.fidelity.probes.replay import attitude_only
    from experiments.fidelity.report import fidelity_report
    from experiments.fidelity.sense import (
        CONTEXTS_PER_SCENARIO,
        PERSUADER,
        USER,
        sense_of_persuader,
        sense_of_user,
    )

    records, settings = context.data.test, context.settings
    spec = resolve_user_spec(context.root, "learned")
    learned = user_model_loader(spec, context.models, settings.max_reply_tokens)()
    provenance: dict[str, Any] = {"user_model": "learned", "scenarios": "test", "words": False}
    measures: list[Measure] = []
    with counting_bar("fidelity", None, "reply") as progress:
        try:
            measures += fidelity_report(
                attitude_only(learned, records),
                records,
                seed=settings.seed,
                limit=settings.fidelity_scenarios,
                progress=progress,
            )
        except RunError as error:  # a scenario file without what the probes need
            provenance["why"] = str(error)
        limit = CONTEXTS_PER_SCENARIO * settings.fidelity_scenarios
        log = BatchLog(folder / "sense.jsonl")
        measures += sense_of_user(
            learned,
            records,
            limit=limit,
            seed=settings.seed,
            log=log,
            progress=partial(progress, USER),
        )
        del learned
        context.models.clear()
        release_freed_memory()
        measures += sense_of_persuader(
            run_agent(context, "sft"),
            records,
            limit=limit,
            seed=settings.seed,
            log=log,
            progress=partial(progress, PERSUADER),
        )
    write_measures(measures, folder, {**provenance, "seed": settings.seed})


def report(context: RunContext, folder: Path) -> None:
    """Puts all results into one HTML file."""
    from experiments.reporting.html_report import write_html_report

    write_html_report(context.root, folder / "report.html")


def training_callbacks(name: str, context: RunContext) -> list[Any]:
    """What a transformers trainer calls: a progress bar, and the run's live metrics."""
    from agents.training.metrics import metrics_callback

    return [training_bar(name), metrics_callback(name, context.metrics)]


def run_agent(context: RunContext, name: str) -> Persuader:
    """An agent of the run, by its short name."""
    spec = resolve_agent_spec(context.root, name)
    return agent_loader(spec, context.models, context.settings.max_reply_tokens)()


def train_user_of(context: RunContext) -> UserModel:
    """The user that the run's agents learn from."""
    spec = resolve_user_spec(context.root, context.settings.train_user)
    return user_model_loader(spec, context.models, context.settings.max_reply_tokens)()


def _loaded_alone(load: Callable[[], UserModel], context: RunContext) -> Callable[[], UserModel]:
    """Loads a user model when the last one and what was read for it have been let go."""

    def load_alone() -> UserModel:
        context.models.clear()
        release_freed_memory()
        return load()

    return load_alone

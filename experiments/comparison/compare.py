"""Ways of training compared: several seeds of each, on one environment, against held-out users.

    persuade compare --seeds 3

One run gives the users and the SFT persuader that everything starts from. From there each seed
samples its own candidates for RFT and DPO and plays its own dialogues for PPO and GRPO; best-of-n
trains nothing and looks ahead. Each seed then plays a benchmark of its own episodes, and a
method is compared with SFT dialogue by dialogue, on the same scenarios and episode seeds.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmark.dialogues import episodes_file, load_episodes
from experiments.benchmark.summary import Row, summarize
from experiments.common.bootstrap import Estimate, crossed_mean, mean_of_known
from experiments.common.resolve import (
    ensemble_members,
    resolve_agent_spec,
    resolve_user_spec,
    user_digests,
    user_stages,
    validate_user,
)
from experiments.common.stage import Stage, digest, digest_of, seconds
from experiments.common.storage import file_stem, locked, read_json, write_json
from experiments.configs.schema import RunSettings
from experiments.pipeline.context import RunContext
from experiments.pipeline.data import RunData, dump
from experiments.pipeline.make import TIMINGS_FILE, play_benchmark
from experiments.pipeline.run import make_stage
from experiments.pipeline.steps import SEED_STEPS, STEPS, TRAINED_AGENTS, steps_of_agent
from persuade_env.episode import Episode
from persuade_env.errors import RunError, UnknownNameError
from persuade_env.metrics import MetricsLogger, NoMetrics
from persuade_env.registry import load_judge
from persuade_env.seeding import derive_seed, generator
from persuade_env.spec import Spec, hide_password

METHODS = ("sft", "best-of-4", "rft", "dpo", "grpo", "ppo")
"""`dpo@concerns` is DPO that learns from that user, `ppo@learned+concerns` PPO that learns from a
population; without a name it is `RunSettings.train_user`."""
FOLDER = "comparison"
"""In a run's folder: what this adds to it."""


@dataclass(frozen=True)
class Compared:
    """One method against one user model."""

    row: Row
    """Of all seeds' dialogues together."""
    over_sft: Estimate
    """Attitude gain beyond SFT's in the same episodes, Likert points; scenarios and seeds are
    resampled."""
    by_seed: tuple[float, ...]
    """The same, seed by seed."""
    learned_from: str = ""
    """The user model, or population, that the method learned from or looked into."""

    @property
    def against_its_own(self) -> bool:
        """Whether the user model is one that the method knows."""
        members = ensemble_members(self.learned_from) if self.learned_from else []
        return self.row.user_model in map(str, members)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; NaN becomes null."""
        over_sft = {
            k: None if math.isnan(v) else round(v, 6) for k, v in asdict(self.over_sft).items()
        }
        return {
            **self.row.to_json(),
            "over_sft": over_sft,
            "by_seed": [None if math.isnan(one) else round(one, 6) for one in self.by_seed],
            "learned_from": self.learned_from,
        }


def check(methods: Sequence[str]) -> None:
    """Whether these can be compared.

    Raises:
        UnknownNameError: if there is no such method.
        RunError: if SFT, which the others are compared with, is not among them.
    """
    for name in methods:
        way, at, user = name.partition("@")
        known = way in TRAINED_AGENTS if at else way in METHODS
        if not known and not name.removeprefix("best-of-").isdecimal():
            raise UnknownNameError(
                "method", name, (*METHODS, *(f"{one}@USER" for one in TRAINED_AGENTS))
            )
        if at:
            validate_user(user)
    if "sft" not in methods:
        raise RunError("name sft as well: the other methods are compared with it")


def compare(
    root: Path,
    settings: RunSettings,
    seeds: int,
    *,
    methods: Sequence[str] = METHODS,
    fresh: bool = False,
    metrics: MetricsLogger | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[Compared]:
    """Trains and benchmarks what is missing of the comparison in `root/comparison`.

    What the run in `root` has made from the same inputs, or played, is taken from there.

    Args:
        root: the run's folder.
        settings: of the run.
        seeds: how many; the first is the run's own.
        methods: names as in `METHODS`.
        fresh: move what was made with other settings aside and make it anew.
        metrics: takes numbers while they happen.
        on_progress: told one line about every step.

    Raises:
        RunError: if another process is at work in `root`, or it can't be written.
    """
    shared = _shared_steps(root, settings, methods)
    if not (root / "prepare").is_dir():
        shared.add("prepare")
    with locked(root):
        context = RunContext(root, settings, RunData.load(settings), metrics=metrics or NoMetrics())
        for step in STEPS.values():
            if step.name in shared:
                make_stage(step.stage(context), root, context, fresh, on_progress)
        played = STEPS["benchmark"].stage(context).is_made(root)
        for seed in range(settings.seed, settings.seed + seeds):
            folder = root / FOLDER / f"seed-{seed}"
            own = replace(context, settings=replace(settings, seed=seed))
            reused = root / "benchmark" if played and seed == settings.seed else None
            for where, stage in stages_of_seed(own, folder, methods, reused):
                shown = where.relative_to(root)
                make_stage(stage, where, own, fresh, partial(_say_where, on_progress, shown))
        found = summarize_seeds(root, settings, seeds, methods)
        write_json(root / FOLDER / "results.json", [one.to_json() for one in found])
    return found


def _shared_steps(root: Path, settings: RunSettings, methods: Sequence[str]) -> set[str]:
    """The steps that all seeds share: SFT, and the users that are met or learned from."""
    learned_from = (_Method.of(name, root, settings).train_user for name in methods)
    users = [*settings.user_models, *(user for user in learned_from if user)]
    return {"sft", "user-model", *(stage for user in users for stage in user_stages(user))}


def _say_where(on_progress: Callable[[str], None], where: Path, line: str) -> None:
    on_progress(f"{where}/{line}")


@dataclass(frozen=True)
class _Method:
    """A way of training, the user it learns from, and where it lies."""

    way: str
    settings: RunSettings
    place: Path

    @classmethod
    def of(cls, name: str, place: Path, settings: RunSettings) -> _Method:
        """What a name of `METHODS` means for a seed whose folder is `place`."""
        way, at, train_user = name.partition("@")
        if not at:
            return cls(way, settings, place)
        folder = "against-" + file_stem(train_user)
        return cls(way, replace(settings, train_user=train_user), place / folder)

    @property
    def checkpoint(self) -> Path:
        return self.place / self.way

    @property
    def looks_into(self) -> str:
        """The user that it asks while it speaks; empty where it asks none."""
        return "learned" if self.way.startswith("best-of-") else ""

    @property
    def train_user(self) -> str:
        """The user that it learns from or looks into; empty for SFT."""
        return self.settings.train_user if self.way in TRAINED_AGENTS else self.looks_into


def stages_of_seed(
    context: RunContext, folder: Path, methods: Sequence[str], reused: Path | None
) -> Iterator[tuple[Path, Stage]]:
    """What one seed has of its own, and where.

    Args:
        context: the run, with this seed.
        folder: of the seed.
        methods: names as in `METHODS`.
        reused: a benchmark of the same settings; its dialogues with the same agent are not played
            again.
    """
    root = context.root
    for method in (_Method.of(name, folder, context.settings) for name in methods):
        if method.way not in TRAINED_AGENTS:
            continue
        for step in steps_of_agent(method.way, method.settings):
            elsewhere = {name: method.place / name for name in SEED_STEPS}
            own = replace(context, settings=method.settings, elsewhere=elsewhere)
            yield method.place, _kept(root, STEPS[step].stage(own))
    for name in methods:
        method = _Method.of(name, folder, context.settings)
        trained = method.checkpoint if method.way in TRAINED_AGENTS else root / "sft"
        same = method.way not in TRAINED_AGENTS or digest(trained) == digest(root / method.way)
        agent = resolve_agent_spec(
            method.place if method.way in TRAINED_AGENTS else root, method.way
        )
        for user in context.settings.user_models:
            play = partial(_play, context, (name, agent), user, reused if same else None)
            settings = replace(context.settings.benchmark, seed=context.settings.seed)
            inputs = {
                "agent": [name, digest(trained)],
                "user_model": user,
                "trained_user_models": {
                    known: found
                    for user_name in (user, method.looks_into)
                    if user_name
                    for known, found in user_digests(root, user_name).items()
                },
                "scenarios": digest_of(dump(context.data.test)),
                "max_reply_tokens": context.settings.max_reply_tokens,
                "settings": asdict(settings),
            }
            yield folder, Stage(_played(name, user), play, inputs)


def _played(name: str, user: str) -> str:
    """The folder of a method's dialogues with a user.

    Each pair has its own, so that what is added to a comparison replays nothing of it.
    """
    return f"played-{file_stem(name)}/{file_stem(user)}"


def _kept(root: Path, stage: Stage) -> Stage:
    """The stage, made by copying where the run itself has made it from the same inputs."""

    def make(folder: Path) -> None:
        if stage.is_made(root):
            shutil.copytree(root / stage.name, folder, dirs_exist_ok=True)
        else:
            stage.make(folder)

    return replace(stage, make=make)


def _play(
    context: RunContext, agent: tuple[str, Spec], user: str, reused: Path | None, folder: Path
) -> None:
    """Plays an agent, given by name and spec, against a user.

    Args:
        context: the run, with this seed.
        agent: its name and spec.
        user: a user model's short name.
        reused: a benchmark whose dialogues of the two are taken instead.
        folder: where they go.
    """
    name, spec = agent
    if reused is not None:
        (folder / "episodes").mkdir(parents=True, exist_ok=True)
        played, copy = episodes_file(reused, name, user), episodes_file(folder, name, user)
        if played.exists() and not copy.exists():
            shutil.copy(played, copy)
    play_benchmark(
        {name: spec},
        {user: resolve_user_spec(context.root, user)},
        [record.scenario for record in context.data.test],
        folder,
        context,
    )


def summarize_seeds(
    root: Path, settings: RunSettings, seeds: int, methods: Sequence[str]
) -> list[Compared]:
    """One line per user model and method, all seeds together."""
    found = []
    places = [
        root / FOLDER / f"seed-{seed}" for seed in range(settings.seed, settings.seed + seeds)
    ]
    for user in settings.user_models:
        played = {
            name: [load_episodes(place / _played(name, user), name, user) for place in places]
            for name in methods
        }
        baseline = played["sft"]
        for name, by_seed in played.items():
            row = summarize(
                name,
                user,
                [episode for episodes in by_seed for episode in episodes],
                None if name == "sft" else [e for episodes in baseline for e in episodes],
                judge=load_judge(settings.benchmark.judge),
                judge_name=hide_password(settings.benchmark.judge),
                baseline_name="" if name == "sft" else "sft",
                seed=settings.seed,
            )
            table = over_baseline(by_seed, baseline)
            rng = generator(derive_seed(settings.seed, "comparison", user, name))
            train_user = _Method.of(name, root, settings).train_user
            found.append(
                Compared(
                    row, crossed_mean(table, rng), tuple(map(mean_of_known, table)), train_user
                )
                if name != "sft"
                else Compared(row, Estimate(math.nan, math.nan, math.nan), ())
            )
    return found


def over_baseline(
    by_seed: Sequence[Sequence[Episode]], baseline: Sequence[Sequence[Episode]]
) -> np.ndarray:
    """Attitude gain beyond the baseline's, (seeds, scenarios); NaN where either failed."""
    scenarios = sorted({one.scenario.id for episodes in by_seed for one in episodes})
    table = np.full((len(by_seed), len(scenarios)), np.nan)
    for seed, (episodes, others) in enumerate(zip(by_seed, baseline, strict=True)):
        theirs = {(one.scenario.id, one.seed): one for one in others if one.valid}
        for column, scenario in enumerate(scenarios):
            differences = [
                one.attitude_gain - theirs[one.scenario.id, one.seed].attitude_gain
                for one in episodes
                if one.scenario.id == scenario and one.valid and (scenario, one.seed) in theirs
            ]
            table[seed, column] = mean_of_known(differences)
    return table


@dataclass(frozen=True)
class Cost:
    """What a method cost to train, mean over seeds."""

    dialogues: float
    """Begun in the simulation; a preference's path counts as one."""
    minutes: float


def costs(root: Path, settings: RunSettings, seeds: int, methods: Sequence[str]) -> dict[str, Cost]:
    """Of the methods that train in simulation, beside SFT and the users, which all share."""
    found = {}
    for name in methods:
        each = []
        for seed in range(settings.seed, settings.seed + seeds):
            place = root / FOLDER / f"seed-{seed}"
            method = _Method.of(name, place, replace(settings, seed=seed))
            folder, way = method.place, method.way
            if way in ("rft", "dpo"):
                # A stage that was copied from the run took what it took there.
                copied = digest(folder / way) == digest(root / way)
                where = root if copied else folder
                steps = steps_of_agent(way, method.settings)
                taken = sum(seconds(where, step) for step in steps)
                sampled = "pool" if "pool" in steps else "preferences"
                simulated = read_json(folder / sampled / "summary.json") or {}
                paths = 1 if sampled == "pool" else settings.preferences.n_paths
                each.append((simulated.get("candidates", 0) * paths, taken))
            elif way in TRAINED_AGENTS:
                log = read_json(folder / way / "log.json") or []
                clock = read_json(folder / way / TIMINGS_FILE) or []
                each.append((sum(one["dialogues"] for one in log), sum(clock)))
        if each:
            dialogues, taken = np.mean(each, axis=0)
            found[name] = Cost(float(dialogues), float(taken) / 60)
    return found


def curves(
    root: Path, settings: RunSettings, seeds: int, methods: Sequence[str]
) -> dict[str, list[tuple[list[dict[str, float]], list[float]]]]:
    """For each method that learns in the environment, log and seconds by iteration, by seed."""
    found: dict[str, list[tuple[list[dict[str, float]], list[float]]]] = {}
    for name in methods:
        for seed in range(settings.seed, settings.seed + seeds):
            method = _Method.of(name, root / FOLDER / f"seed-{seed}", settings)
            log = read_json(method.checkpoint / "log.json")
            clock = read_json(method.checkpoint / TIMINGS_FILE)
            if method.way in TRAINED_AGENTS and log and clock:
                found.setdefault(name, []).append((log, clock))
    return found

"""The steps of a run, in one table: what each needs, what it depends on, how it is made.

Whatever is trained travels the same way: `Step.stage` binds a step to a run, `Stage.run` makes it
where it is missing. To add a step, write how it is made and add a row to `STEPS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from experiments.common.resolve import FORESIGHT, agent_stages, user_digests, user_stages
from experiments.common.stage import Stage, digest, digest_of
from experiments.configs.schema import RunSettings
from experiments.pipeline import make, make_pool
from experiments.pipeline.context import RunContext
from experiments.pipeline.data import dump, left_out_domains
from persuade_env import __version__
from persuade_env.dialogue import ScenarioRecord
from persuade_env.scenarios import halves


@dataclass(frozen=True)
class Step:
    """One step of a run.

    >>> STEPS["dpo"].needs
    ('prepare', 'sft', 'preferences')
    """

    name: str
    """Also the name of its folder."""
    make: Callable[[RunContext, Path], None]
    """Fills the folder."""
    needs: tuple[str, ...] = ("prepare",)
    """Steps whose results it reads, beside the users that it learns from."""
    needs_by_settings: Callable[[RunSettings], tuple[str, ...]] = lambda settings: ()
    """Steps that it reads only under some settings."""
    settings: Callable[[RunSettings], Any] = lambda settings: None
    """The part of the run's settings that it depends on, as a dataclass or plain JSON."""
    records: Callable[[RunContext], Iterable[ScenarioRecord]] | None = None
    """The scenarios that it depends on."""
    learns_from_users: bool = False
    """Whether it is made with the run's `train_user`."""
    in_run: bool = True
    """Whether `persuade run` makes it, or `persuade train` alone."""

    def stage(self, context: RunContext) -> Stage:
        """The step of one run; the steps that it needs have to be made by then."""
        return Stage(self.name, partial(self.make, context), self.inputs(context))

    def inputs(self, context: RunContext) -> dict[str, Any]:
        """What its results depend on, as plain JSON."""
        settings = context.settings
        chosen = self.settings(settings)
        inputs: dict[str, Any] = {
            "version": __version__,
            "base": settings.base,
            "seed": settings.seed,
            "max_reply_tokens": settings.max_reply_tokens,
            "settings": asdict(chosen) if hasattr(chosen, "__dataclass_fields__") else chosen,
        }
        if self.records is not None:
            inputs["scenarios"] = digest_of(dump(list(self.records(context))))
        if self.learns_from_users:
            inputs["train_user"] = settings.train_user
            inputs["train_user_models"] = user_digests(context.root, settings.train_user)
        needs = (*self.needs, *self.needs_by_settings(settings))
        made = {*needed_steps(settings), self.name} if self.in_run else set(needs)
        trained = [name for name in needs if name != "prepare" and name in made]
        if trained:
            inputs["made_from"] = {name: digest(context.folder(name)) for name in trained}
        return inputs

    def all_needs(self, settings: RunSettings) -> set[str]:
        """The steps that have to be made before it, directly or not."""
        direct = {*self.needs, *self.needs_by_settings(settings)}
        if self.learns_from_users:
            direct.update(user_stages(settings.train_user))
        return direct.union(*(STEPS[name].all_needs(settings) for name in direct))


def _user_half(part: int, context: RunContext) -> list[ScenarioRecord]:
    return halves(context.data.train)[part]


def _seen_domains(context: RunContext) -> list[ScenarioRecord]:
    unseen = left_out_domains(context.data.train)
    return [record for record in _user_half(0, context) if record.domain not in unseen]


def _train(context: RunContext) -> list[ScenarioRecord]:
    return context.data.train


def _test(context: RunContext) -> list[ScenarioRecord]:
    return context.data.test


def _all(context: RunContext) -> list[ScenarioRecord]:
    return [*context.data.train, *context.data.validation, *context.data.test]


def _user_step(
    name: str, records: Callable[[RunContext], list[ScenarioRecord]], in_run: bool = True
) -> Step:
    def make_user(context: RunContext, folder: Path) -> None:
        make.user_model(name, records(context), context, folder)

    return Step(
        name, make_user, settings=lambda run: run.user_model, records=records, in_run=in_run
    )


def _benchmark_settings(settings: RunSettings) -> dict[str, Any]:
    return {
        **asdict(replace(settings.benchmark, seed=settings.seed)),
        "agents": list(settings.agents),
        "user_models": list(settings.user_models),
    }


def _preference_settings(settings: RunSettings) -> dict[str, Any]:
    """Of the method that is used, so that the other's settings make nothing anew."""
    chosen = settings.preferences
    if chosen.method == "best-worst":
        names = ("method", "min_gap", "max_length_ratio", "keep_malformed")
        return {name: getattr(chosen, name) for name in names}
    paths = {k: v for k, v in asdict(chosen).items() if k not in ("min_gap", "max_length_ratio")}
    return {
        **paths,
        "n_contexts": settings.n_contexts,
        "contexts_per_batch": settings.contexts_per_batch,
        "max_turns": settings.max_turns,
    }


def _pool_of_preferences(settings: RunSettings) -> tuple[str, ...]:
    return ("pool",) if settings.preferences.method == "best-worst" else ()


_TRAINED = ("user-model", "held-out", "sft", "rft", "dpo", FORESIGHT, "ppo", "grpo")

STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        Step("prepare", make.prepare, needs=(), settings=lambda run: run, records=_all),
        _user_step("user-model", partial(_user_half, 0)),
        _user_step("held-out", partial(_user_half, 1)),
        _user_step("unseen", _seen_domains, in_run=False),
        Step("sft", make.sft, settings=lambda run: run.sft, records=_train),
        Step(
            "pool",
            make_pool.pool,
            needs=("prepare", "sft"),
            settings=lambda run: {**asdict(run.pool), "max_turns": run.max_turns},
            records=_train,
            learns_from_users=True,
        ),
        Step(
            "rft",
            make_pool.rft,
            needs=("prepare", "sft", "pool"),
            settings=lambda run: run.rft,
            learns_from_users=True,
        ),
        Step(
            "preferences",
            make_pool.preferences,
            needs=("prepare", "sft"),
            needs_by_settings=_pool_of_preferences,
            settings=_preference_settings,
            records=_train,
            learns_from_users=True,
        ),
        Step(
            "dpo",
            make.dpo,
            needs=("prepare", "sft", "preferences"),
            settings=lambda run: run.dpo,
            learns_from_users=True,
        ),
        Step(
            FORESIGHT,
            make_pool.foresight,
            needs=("prepare", "sft", "pool"),
            settings=lambda run: {"keep_malformed": run.preferences.keep_malformed},
            learns_from_users=True,
            in_run=False,
        ),
        Step(
            "ppo",
            make.ppo,
            needs=("prepare", "sft"),
            settings=lambda run: replace(run.ppo, seed=run.seed),
            records=_train,
            learns_from_users=True,
        ),
        Step(
            "grpo",
            make.grpo,
            needs=("prepare", "sft"),
            settings=lambda run: replace(run.grpo, seed=run.seed),
            records=_train,
            learns_from_users=True,
            in_run=False,
        ),
        Step(
            "benchmark",
            make.benchmark,
            needs=("prepare", *_TRAINED),
            settings=_benchmark_settings,
            records=_test,
        ),
        Step(
            "fidelity",
            make.fidelity,
            needs=("prepare", "user-model", "sft"),
            settings=lambda run: {"fidelity_scenarios": run.fidelity_scenarios},
            records=_test,
        ),
        Step("report", make.report, needs=("prepare", *_TRAINED, "benchmark", "fidelity")),
    )
}
"""Every step by name, in the order in which they are made."""

RUN_STEPS = tuple(name for name, step in STEPS.items() if step.in_run)
"""What `persuade run` goes through, in order."""
TRAINED_AGENTS = ("rft", "dpo", "ppo", "grpo")
"""Steps that train an agent with a user model."""
SEED_STEPS = ("pool", "preferences", *TRAINED_AGENTS)
"""What each seed of a comparison makes for itself."""


def steps_of_agent(name: str, settings: RunSettings) -> list[str]:
    """The steps that make one of `TRAINED_AGENTS` from the SFT persuader and the users, in order.

    >>> steps_of_agent("ppo", RunSettings())
    ['ppo']
    """
    own = {step for step in STEPS[name].all_needs(settings) if STEPS[step].learns_from_users}
    return [step for step in STEPS if step in own | {name}]


def needed_steps(settings: RunSettings) -> list[str]:
    """Of all steps, those that a run with these settings makes, in order.

    A second user model is trained only where somebody meets it or learns from it, GRPO's agent
    and what `rerank-N` chooses by only where they are benchmarked.
    """
    named = {
        stage
        for user in (*settings.user_models, settings.train_user)
        for stage in user_stages(user)
    }
    named |= {stage for agent in settings.agents for stage in agent_stages(agent)}
    optional = {"held-out", "unseen"}
    return [
        name
        for name, step in STEPS.items()
        if name in named or (step.in_run and name not in optional)
    ]

"""Tests mirror modules: `a/b/c.py` is tested in `tests/a/b/test_c.py`, or this file says where."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("persuade_env", "user_models", "agents", "experiments")

ELSEWHERE = {
    # What several environments share is tested through each of them.
    "persuade_env/envs/base.py": "tests/persuade_env/envs/test_persuasion.py",
    "persuade_env/envs/core.py": "tests/persuade_env/envs/test_persuasion.py",
    "persuade_env/envs/rendering.py": "tests/persuade_env/envs/test_persuasion.py",
    "persuade_env/envs/spaces.py": "tests/persuade_env/envs/test_persuasion.py",
    # Patterns are data: the detector's tests are theirs.
    "persuade_env/safety/checkable_facts.py": "tests/persuade_env/safety/test_misconduct.py",
    "persuade_env/safety/misconduct_patterns.py": "tests/persuade_env/safety/test_misconduct.py",
    "persuade_env/safety/forbidden_goal_patterns.py": (
        "tests/persuade_env/safety/test_forbidden_goals.py"
    ),
    # One file for the three readers, since they promise the same.
    "persuade_env/scenarios/datasets/common.py": (
        "tests/persuade_env/scenarios/datasets/test_datasets.py"
    ),
    "persuade_env/scenarios/datasets/ctompersu.py": (
        "tests/persuade_env/scenarios/datasets/test_datasets.py"
    ),
    "persuade_env/scenarios/datasets/daily_persuasion.py": (
        "tests/persuade_env/scenarios/datasets/test_datasets.py"
    ),
    "persuade_env/scenarios/datasets/persuasion_for_good.py": (
        "tests/persuade_env/scenarios/datasets/test_datasets.py"
    ),
    # What a fit is worth shows in what was fitted.
    "persuade_env/judges/learned_training.py": "tests/persuade_env/judges/test_learned.py",
    # Loading a real model takes seconds; these are tested by whoever needs one.
    "persuade_env/llm/builtin_model.py": "tests/persuade_env/llm/backends/test_transformers.py",
    "persuade_env/llm/loading.py": "tests/persuade_env/llm/backends/test_transformers.py",
    "persuade_env/llm/precision.py": "tests/persuade_env/llm/backends/test_transformers.py",
    "persuade_env/llm/chat_template.py": "tests/persuade_env/llm/backends/test_transformers.py",
    "persuade_env/llm/checkpoint.py": "tests/agents/training/test_sft.py",
    "persuade_env/llm/generation/decoding.py": (
        "tests/persuade_env/llm/generation/test_prefix_cache.py"
    ),
    "user_models/prompted.py": "tests/persuade_env/llm/backends/test_openai_http.py",
    "user_models/querying.py": "tests/experiments/fidelity/probes/test_replay.py",
    "agents/persuaders/prompts.py": "tests/test_leakage.py",
    "agents/persuaders/intent_to_strategy.py": "tests/agents/persuaders/test_loading.py",
    # Parts of a trainer, tested by training with them.
    "agents/training/metrics.py": "tests/experiments/cli/test_run.py",
    "agents/training/policy.py": "tests/agents/training/test_ppo.py",
    "agents/training/resume.py": "tests/agents/training/test_ppo.py",
    # Commands, tested as a person types them.
    "experiments/cli/benchmark.py": "tests/experiments/cli/test_main.py",
    "experiments/cli/compare.py": "tests/experiments/cli/test_run.py",
    "experiments/cli/fidelity.py": "tests/experiments/cli/test_main.py",
    "experiments/cli/foresee.py": "tests/experiments/pipeline/test_make_pool.py",
    "experiments/cli/judge.py": "tests/experiments/judging/test_audit.py",
    "experiments/cli/misconduct.py": "tests/experiments/safety/test_misconduct_rates.py",
    "experiments/cli/options.py": "tests/experiments/pipeline/test_run.py",
    "experiments/cli/play.py": "tests/experiments/cli/test_main.py",
    "experiments/cli/scenarios.py": "tests/experiments/cli/test_main.py",
    "experiments/cli/train.py": "tests/experiments/cli/test_run.py",
    "experiments/studio/terminal.py": "tests/experiments/cli/test_main.py",
    # Parts of a run or a report, tested by making one.
    "experiments/benchmark/summary.py": "tests/experiments/benchmark/test_dialogues.py",
    "experiments/benchmark/tables.py": "tests/experiments/benchmark/test_dialogues.py",
    "experiments/common/text_classifier.py": "tests/experiments/fidelity/test_language_measures.py",
    "experiments/comparison/plots.py": "tests/experiments/cli/test_run.py",
    "experiments/fidelity/gain_measures.py": "tests/experiments/fidelity/test_report.py",
    "experiments/fidelity/probes/injection_texts.py": (
        "tests/experiments/fidelity/probes/test_injection.py"
    ),
    "experiments/fidelity/probes/scripted.py": "tests/experiments/fidelity/test_report.py",
    "experiments/judging/queries.py": "tests/experiments/judging/test_audit.py",
    "experiments/pipeline/data.py": "tests/experiments/pipeline/test_run.py",
    "experiments/pipeline/make.py": "tests/experiments/cli/test_run.py",
    "experiments/pipeline/steps.py": "tests/experiments/pipeline/test_run.py",
    "experiments/reporting/html_report.py": "tests/experiments/cli/test_run.py",
    "experiments/reporting/wandb.py": "tests/experiments/cli/test_run.py",
}
"""Modules whose behaviour is tested in another file than their own."""

NO_BEHAVIOUR = {
    "persuade_env/errors.py": "types and their messages, seen in every other test",
    "persuade_env/metrics.py": "a protocol, and a logger that does nothing",
    "persuade_env/llm/training/config.py": "a dataclass",
    "agents/training/config.py": "dataclasses",
    "user_models/learned/training/config.py": "dataclasses",
    "experiments/benchmark/config.py": "dataclasses",
    "experiments/configs/schema.py": "a dataclass; reading it is tested in test_load.py",
    "experiments/pipeline/context.py": "a dataclass",
    "experiments/common/console.py": "two consoles",
    "experiments/common/progress.py": "progress bars of a library",
    "experiments/common/memory.py": "asks the C library; measured in experiments/performance",
    "experiments/performance/preferences.py": "a measurement, run by hand",
    "experiments/performance/rollouts.py": "a measurement, run by hand",
}
"""Modules with nothing that a test could get wrong, and why."""


def modules() -> list[str]:
    """All modules of the four packages, as paths."""
    return [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "__init__.py"
    ]


def mirror(module: str) -> Path:
    """Where a module's own test file is."""
    path = Path(module)
    return ROOT / "tests" / path.parent / f"test_{path.name}"


def test_every_module_has_a_test_or_a_reason():
    missing = [
        module
        for module in modules()
        if not mirror(module).exists() and module not in ELSEWHERE and module not in NO_BEHAVIOUR
    ]
    assert not missing


def test_the_lists_hold_what_needs_them_and_nothing_else():
    listed = [*ELSEWHERE, *NO_BEHAVIOUR]
    assert not [module for module in listed if module not in modules()]
    assert not [module for module in listed if mirror(module).exists()]
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE.values())))
def test_the_other_file_is_there(test):
    assert (ROOT / test).exists()


def test_no_module_is_long():
    lengths = {
        module: len((ROOT / module).read_text(encoding="utf-8").splitlines())
        for module in modules()
    }
    assert not {module: length for module, length in lengths.items() if length > 400}

"""Who may import whom, and what an import may cost.

A room is a sub-package, or a group of a package's own modules. The table says of each room which
others its modules may import; whatever is not in it is an error, and so is a circle.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("persuade_env", "user_models", "agents", "experiments")

NOUNS = "persuade_env: nouns"
LOOP = "persuade_env: loop"
PUBLIC = "persuade_env: public"
USERS = "user_models: users"
QUERYING = "user_models: querying"

GROUPS = {
    NOUNS: ("dialogue", "errors", "seeding", "protocols", "spec", "metrics"),
    LOOP: ("action_format", "registry", "rewards", "episode", "rollout"),
    PUBLIC: ("__init__",),
    QUERYING: ("querying", "reply_format"),
    USERS: ("rule_based", "prompted", "ensemble", "__init__"),
}
"""A package's own modules by group; a module in none of them is an error."""

CORE = {NOUNS, LOOP, PUBLIC, "persuade_env.text", "persuade_env.llm"}
"""What a persuader or a user model may need of persuade_env."""

ALLOWED: dict[str, set[str]] = {
    NOUNS: set(),
    "persuade_env.text": {NOUNS},
    "persuade_env.safety": {NOUNS, "persuade_env.text"},
    "persuade_env.llm": {NOUNS, "persuade_env.text"},
    LOOP: {NOUNS, "persuade_env.text", "persuade_env.safety", "persuade_env.llm"},
    PUBLIC: {NOUNS, LOOP},
    "persuade_env.scenarios": {NOUNS, "persuade_env.text", "persuade_env.safety"},
    "persuade_env.envs": {NOUNS, LOOP, "persuade_env.text", "persuade_env.scenarios"},
    "persuade_env.judges": CORE | {"persuade_env.scenarios"},
    QUERYING: CORE,
    "user_models.learned": CORE | {QUERYING},
    USERS: CORE | {QUERYING, "user_models.learned"},
    "agents.preferences": CORE | {"persuade_env.judges"},
    "agents.persuaders": CORE | {"agents.preferences", "persuade_env.scenarios"},
    "agents.training": CORE | {"agents.preferences", "agents.persuaders", "persuade_env.envs"},
}
"""Of the three lower packages, by room."""

_LOWER = set(ALLOWED)
_EXPERIMENTS = {
    "common": set(),
    "configs": {"benchmark"},
    "benchmark": {"common", "corpus"},
    "corpus": {"common"},
    "safety": {"common", "benchmark"},
    "fidelity": {"common", "corpus"},
    "judging": {"common", "fidelity"},
    "reporting": {"common", "benchmark", "safety"},
    "pipeline": {"common", "configs", "benchmark", "fidelity", "reporting"},
    "comparison": {"common", "configs", "benchmark", "pipeline"},
    "studio": set(),
    "performance": {"common"},
    "cli": {
        "common", "configs", "benchmark", "corpus", "safety", "fidelity", "judging", "reporting",
        "pipeline", "comparison", "studio",
    },
}  # fmt: skip
"""Of experiments, beside the lower packages, which all of its rooms may import."""
ALLOWED |= {
    f"experiments.{room}": {f"experiments.{other}" for other in others} | _LOWER
    for room, others in _EXPERIMENTS.items()
}


def modules() -> Iterator[tuple[str, Path]]:
    """Dotted names and files of all modules in the four packages."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts), path


def room_of(module: str) -> str:
    """The room of a module's dotted name."""
    package, *rest = module.split(".")
    if not rest:
        rest = ["__init__"]
    if (ROOT / package / rest[0]).is_dir():
        return f"{package}.{rest[0]}"
    groups = [
        name
        for name, members in GROUPS.items()
        if name.startswith(f"{package}:") and rest[0] in members
    ]
    return groups[0] if groups else f"{package}: {rest[0]}"


def imported(path: Path) -> Iterator[str]:
    """Dotted names of the suite's modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            folder = ROOT.joinpath(*node.module.split("."))
            for alias in node.names:
                is_module = (folder / f"{alias.name}.py").exists() or (folder / alias.name).is_dir()
                names.append(f"{node.module}.{alias.name}" if is_module else node.module)
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


def test_every_module_has_a_room():
    unknown = {
        module
        for module, _ in modules()
        if room_of(module) not in ALLOWED
        and module not in ("agents.__init__", "experiments.__init__")
    }
    assert not unknown


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_the_table_allows(room):
    for module, path in modules():
        if room_of(module) != room:
            continue
        for name in imported(path):
            other = room_of(name)
            assert other == room or other in ALLOWED[room], f"{module} imports {name}"


def test_the_table_has_no_circle_and_no_arrow_that_nobody_uses():
    order = list(graphlib.TopologicalSorter(ALLOWED).static_order())
    assert set(order) >= set(ALLOWED)
    used = {
        (room_of(module), room_of(name)) for module, path in modules() for name in imported(path)
    }
    unused = {
        (room, other)
        for room, others in _EXPERIMENTS.items()
        for other in others
        if (f"experiments.{room}", f"experiments.{other}") not in used
    }
    assert not unused


def test_the_top_of_experiments_is_small():
    entries = [path for path in (ROOT / "experiments").iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 15


def loaded_by(code: str) -> set[str]:
    """Top-level names of the modules that a Python process has loaded after running `code`."""
    command = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


HEAVY = {"torch", "transformers", "trl", "peft", "pandas", "wandb", "httpx", "scipy", "matplotlib"}


def test_importing_the_core_loads_nothing_heavy():
    loaded = loaded_by("import persuade_env")
    assert not loaded & (HEAVY | {"user_models", "agents", "experiments"})


@pytest.mark.parametrize(
    "module",
    [
        "user_models",
        "agents",
        "experiments.cli.main",
        "experiments.configs.load",
        "experiments.common.resolve",
        "agents.training.config",
        "user_models.learned.training.config",
    ],
)
def test_names_and_settings_load_no_model_library(module):
    assert not loaded_by(f"import {module}") & (HEAVY - {"scipy"})


def test_only_experiments_prints():
    for package in ("persuade_env", "user_models", "agents"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    assert node.func.id != "print", path

"""Who may import whom, and what an import may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "persuade_env": set(),
    "user_models": {"persuade_env"},
    "agents": {"persuade_env"},
    "experiments": {"persuade_env", "user_models", "agents"},
}


@pytest.mark.parametrize("layer", ALLOWED)
def test_a_layer_imports_only_what_the_design_allows(layer):
    for path in (ROOT / layer).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if top in ALLOWED and top != layer:
                    assert top in ALLOWED[layer], f"{path} imports {name}"


def test_importing_the_core_loads_nothing_heavy():
    code = "import sys, persuade_env; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    heavy = {"torch", "transformers", "trl", "peft", "pandas", "wandb", "httpx", "scipy"}
    assert not loaded & (heavy | {"user_models", "agents", "experiments"})


def test_only_experiments_prints():
    for layer in ("persuade_env", "user_models", "agents"):
        for path in (ROOT / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    assert node.func.id != "print", path

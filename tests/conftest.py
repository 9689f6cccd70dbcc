"""Models that several test files need, loaded or fitted once."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings

# Deadlines and slow-generation checks time the machine; the same examples on every run.
settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
# Many more, and others at each run: `make torture` and, for a minute or two, its sample.
for name, examples in (("torture", 10_000), ("torture-sample", 500)):
    settings.register_profile(
        name,
        settings.get_profile("suite"),
        derandomize=False,
        max_examples=examples,
        database=None,
        print_blob=True,
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

os.environ.setdefault("WANDB_MODE", "offline")


@pytest.fixture
def persuade(monkeypatch, capsys):
    """Runs the command in this process, which spares importing torch each time."""

    from experiments.cli.main import main

    def run(*arguments, typed="", cwd=None):
        if cwd:
            monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["persuade", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return run


_FIGURES: list[str] = []


@pytest.fixture(scope="session")
def figure():
    """Takes sentences with what a test measured, to print below the results."""
    return _FIGURES.append


def pytest_terminal_summary(terminalreporter):
    if _FIGURES:
        terminalreporter.section("figures")
        for line in _FIGURES:
            terminalreporter.line(line)


def pytest_collection_modifyitems(config, items):
    """Leaves `torture` out unless it is asked for, whatever else `-m` says."""
    if "torture" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("torture")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(scope="session")
def chat():
    """The embedded model as it ships, in this machine's format, packed for the CPU."""
    from persuade_env.registry import load_chat_model

    return load_chat_model()


@pytest.fixture(scope="session")
def tokenizer():
    from persuade_env.llm.loading import load_tokenizer

    return load_tokenizer()


@pytest.fixture(scope="session")
def encoder(chat):
    """The learned user's turn encoder with the embedded model."""
    from user_models.learned.encoder import TurnEncoder

    return TurnEncoder(chat.model, chat.tokenizer)


@pytest.fixture(scope="session")
def model_samples():
    """Samples of a learned user's chat model in training scenarios, with people's words.

    The `own-words.jsonl` that `persuade train user-model` writes, preset `default`, seed 0.
    """
    from user_models.learned.training.model_samples import read_model_samples

    return read_model_samples(Path(__file__).parent / "user_models" / "learned" / "own-words.jsonl")


@pytest.fixture(scope="session")
def attitude_model(encoder, model_samples):
    """An attitude model fitted to every sixth training scenario, which is enough for the tests."""
    from persuade_env.scenarios import load_corpus
    from user_models.learned.training.attitude_model import fit_attitude_model

    return fit_attitude_model(
        load_corpus("train")[::6], seed=0, model_samples=model_samples, encoder=encoder
    )

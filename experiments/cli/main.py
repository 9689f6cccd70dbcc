"""The `persuade` command."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module, metadata
from typing import Annotated

import typer
from rich.markup import escape

from experiments.cli import (
    benchmark,
    compare,
    fidelity,
    foresee,
    judge,
    misconduct,
    play,
    run,
    scenarios,
)
from experiments.cli import train as train_commands
from experiments.common.console import err, out
from experiments.common.memory import keep_few_kernels, keep_freed_memory
from persuade_env.errors import PersuadeError
from persuade_env.registry import extra_of
from persuade_env.text.normalize import printable

app = typer.Typer(
    help="Trains and benchmarks persuaders against a learned user.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.add_typer(train_commands.app, name="train")
app.command("benchmark")(benchmark.benchmark)
app.command("compare")(compare.compare)
app.command("foresee")(foresee.foresee)
app.command("show")(run.show)
app.command("play")(play.play)
app.command("fidelity")(fidelity.fidelity)
app.command("perplexity")(fidelity.perplexity_of)
app.command("audit-judge")(judge.audit_judge)
app.command("conduct")(misconduct.conduct)
app.add_typer(scenarios.app, name="scenarios")

_INTERRUPTED = 130
TRACEBACK = "PERSUADE_ENV_TRACEBACK"
"""Environment variable: errors come with Python's traceback, for finding one's own bugs."""


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"persuade-env {metadata.version('persuade-env')}", highlight=False)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options of the command itself."""


def main() -> None:
    """Runs the command; every error on purpose is one clear line and exit code 1."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # A console script doesn't see the folder it is called in; `module:attribute` means that one.
    # Last, and after the suite's own packages, so that no file there stands in for them.
    for package in ("persuade_env", "user_models", "agents", "experiments"):
        import_module(package)
    sys.path.append(os.getcwd())
    keep_few_kernels()
    keep_freed_memory()
    try:
        app()
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # typer's own answer to Ctrl-C says nothing
            _fail(
                "interrupted; finished work is kept, the same command goes on with it", _INTERRUPTED
            )
        raise
    except PersuadeError as error:
        if os.environ.get(TRACEBACK):
            traceback.print_exc()
        hint = f"\n{TRACEBACK}=1 shows the traceback" if is_bug(error) else ""
        _fail(f"{error}{hint}", 1)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _fail(f"{error.strerror or error}{where}; finished work is kept", 1)
    except ModuleNotFoundError as error:
        _fail(missing_package(error), 1)


def is_bug(error: PersuadeError) -> bool:
    """Whether an error stands for an exception in somebody's own persuader or user model."""
    return error.__cause__ is not None and " raised " in str(error)


def missing_package(error: ModuleNotFoundError) -> str:
    """What to do about a package that isn't there."""
    extra = extra_of(error.name or "")
    if extra:
        return f"{error.name} is not installed: pip install 'persuade-env[{extra}]'"
    return f"{error.name} is not installed, and this suite doesn't need it: {error}"


def _fail(message: str, code: int) -> None:
    err.print(f"[red]error:[/red] {escape(printable(message))}", soft_wrap=True)
    sys.exit(code)

"""`persuade play`: you against a model, in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.options import RUNS, OfRun
from experiments.common.console import out, quiet_libraries
from persuade_env.episode import DEFAULT_MAX_TURNS
from persuade_env.errors import UnknownNameError

SIDES = ("persuader", "persuadee")


def play(
    side: Annotated[str, typer.Option(help="Yours: persuader or persuadee.")] = "persuader",
    user_model: Annotated[str, typer.Option(help="Whom you talk to as persuader.")] = "concerns",
    agent: Annotated[str, typer.Option(help="Who talks to you as persuadee.")] = "dpo",
    scenario: Annotated[str | None, typer.Option(help="A scenario's id.")] = None,
    run_folder: OfRun = RUNS / "default",
    max_turns: Annotated[int, typer.Option(min=2)] = DEFAULT_MAX_TURNS,
    seed: Annotated[int | None, typer.Option(help="For the same dialogue again.")] = None,
) -> None:
    """You against a model, in the terminal. An empty line as persuader is silence; Ctrl-D ends."""
    from experiments.common import resolve

    if side not in SIDES:
        raise UnknownNameError("side", side, SIDES)
    if side == "persuader":
        spec = resolve.resolve_user_spec(run_folder, user_model)
        resolve.validate_resolved_user(spec)
    else:
        spec = resolve.resolve_agent_spec(run_folder, agent)
        resolve.validate_resolved_agent(spec)
        quiet_libraries()
    from experiments.studio.terminal import play_persuadee, play_persuader

    play_side = play_persuader if side == "persuader" else play_persuadee
    play_side(out, spec, scenario, max_turns, seed)

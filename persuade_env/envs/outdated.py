"""Versions of the environments that no longer exist.

A version is a promise that numbers compare. The ids of old ones are kept to say what broke it.
"""

from __future__ import annotations

from typing import Any, NoReturn

from persuade_env.errors import OutdatedEnvironmentError


def refuse_v0(current: str, **_: Any) -> NoReturn:
    """Entry point of the ids that end in `-v0`.

    Args:
        current: the id to use instead.

    Raises:
        OutdatedEnvironmentError: always; it says why.
    """
    raise OutdatedEnvironmentError(
        f"use {current}: since v0 the corpus, the weights of the reward and the number of turns "
        "that agents are trained and tested with have changed, so results can't be compared"
    )

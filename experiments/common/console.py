"""Where the command writes: results to standard output, progress and errors to standard error."""

from __future__ import annotations

from rich.console import Console

_TABLE_WIDTH = 136  # also where there is no terminal: a cut table says nothing
out = Console(width=max(_TABLE_WIDTH, Console().width))
err = Console(stderr=True)

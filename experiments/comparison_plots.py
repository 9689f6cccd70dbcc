"""What PPO and GRPO earned while they learned, by dialogues and by minutes, seed by seed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from experiments.reinforcement import ALGORITHMS, CLOCK
from experiments.storage import read_json

matplotlib.use("Agg")

_SHOWN = {
    "return": "return",
    "attitude_gain": "attitude gain (Likert points)",
    "words": "words per turn",
    "malformed": "share of malformed turns",
}


def plot(place: Path, seeds: Iterable[int], path: Path) -> None:
    """Writes the curves of the comparison in `place` as SVG.

    Args:
        seeds: those with a folder `seed-N` in `place`.
    """
    from matplotlib.figure import Figure

    numbers = list(seeds)
    figure = Figure(figsize=(10, 5))
    axes = figure.subplots(2, len(_SHOWN), sharey="col")
    for color, name in enumerate(ALGORITHMS):
        for number, seed in enumerate(numbers):
            folder = place / f"seed-{seed}" / name
            log = read_json(folder / "log.json")
            clock = read_json(folder / CLOCK)
            if not log or not clock:
                continue
            positions = (
                np.cumsum([one["dialogues"] for one in log]),
                np.cumsum(clock) / 60,
            )
            for axis_row, along in zip(axes, positions, strict=True):
                for axis, key in zip(axis_row, _SHOWN, strict=True):
                    label = name if number == 0 else None
                    values = [one.get(key, np.nan) for one in log]
                    axis.plot(along, values, color=f"C{color}", lw=0.9, alpha=0.8, label=label)
    _label(axes)
    figure.tight_layout()
    with matplotlib.rc_context({"svg.hashsalt": "persuade-env"}):
        figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})


def _label(axes: Any) -> None:
    for axis_row, unit in zip(axes, ("dialogues played", "minutes"), strict=True):
        for axis, title in zip(axis_row, _SHOWN.values(), strict=True):
            axis.set_title(title, fontsize=9)
            axis.set_xlabel(unit)
            axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].legend(frameon=False)

"""What PPO and GRPO earned while they learned, by dialogues and by minutes, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")

_SHOWN = {
    "return": "return",
    "attitude_gain": "attitude gain (Likert points)",
    "words": "words per turn",
    "malformed": "share of malformed turns",
}


def plot(
    curves: Mapping[str, Sequence[tuple[Sequence[Mapping[str, float]], Sequence[float]]]],
    path: Path,
) -> None:
    """Writes the curves of `experiments.comparison.compare.curves` as SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5))
    axes = figure.subplots(2, len(_SHOWN), sharey="col")
    for color, (name, by_seed) in enumerate(curves.items()):
        for number, (log, clock) in enumerate(by_seed):
            dialogues = np.cumsum([one["dialogues"] for one in log])
            for axis_row, along in zip(axes, (dialogues, np.cumsum(clock) / 60), strict=True):
                for axis, key in zip(axis_row, _SHOWN, strict=True):
                    label = None if number else name
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
    if axes[0][0].lines:
        axes[0][0].legend(frameon=False)

"""Where live metrics go: JSON Lines always, Weights & Biases and TensorBoard by option."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from persuade_env.errors import RunError
from persuade_env.metrics import MetricsLogger

FILE = "metrics.jsonl"
"""In a run's folder: every metric of every stage, in order of time."""


class JsonLinesLogger:
    """Appends a line `{"time", "stage", "step", metrics…}` for each step.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> JsonLinesLogger(folder / "metrics.jsonl").log("dpo", 1, {"loss": 0.69})
    >>> [entry["loss"] for entry in read_metrics(folder)]
    [0.69]
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def log(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """See `MetricsLogger.log`. Numbers that are none (NaN) become null."""
        numbers = {k: v if math.isfinite(v) else None for k, v in metrics.items()}
        entry = {"time": round(time.time(), 3), "stage": stage, "step": step, **numbers}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


class TensorBoardLogger:
    """Writes scalars named `STAGE/METRIC`; the folder is made with the first of them.

    Raises:
        RunError: if tensorboard isn't installed.
    """

    def __init__(self, folder: Path) -> None:
        if find_spec("tensorboard") is None:
            raise RunError("tensorboard is not installed: pip install 'persuade-env[track]'")
        self._folder = folder
        self._writer: Any = None

    def log(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """See `MetricsLogger.log`."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._folder))
        for name, value in metrics.items():
            self._writer.add_scalar(f"{stage}/{name}", value, step)

    def close(self) -> None:
        """Writes what is left."""
        if self._writer is not None:
            self._writer.close()


class SeveralLoggers:
    """Hands metrics on to several loggers.

    >>> from persuade_env.metrics import NoMetrics
    >>> SeveralLoggers([NoMetrics(), NoMetrics()]).log("dpo", 1, {"loss": 0.69})
    """

    def __init__(self, loggers: Sequence[MetricsLogger]) -> None:
        self.loggers = tuple(loggers)

    def log(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """See `MetricsLogger.log`."""
        for logger in self.loggers:
            logger.log(stage, step, metrics)


@contextmanager
def live_metrics(
    root: Path, trackers: Sequence[str] = (), config: Any = None
) -> Iterator[MetricsLogger]:
    """The loggers of a run in `root`, closed at the end.

    Args:
        root: the run's folder, which gets `metrics.jsonl`.
        trackers: `wandb` and `tensorboard`: what takes the metrics besides.
        config: the settings, a dataclass or a mapping, for trackers that show them.

    Raises:
        RunError: if a tracker isn't installed.
    """
    with ExitStack() as stack:
        loggers: list[MetricsLogger] = [JsonLinesLogger(root / FILE)]
        if "tensorboard" in trackers:
            board = TensorBoardLogger(root / "tensorboard")
            stack.callback(board.close)
            loggers.append(board)
        if "wandb" in trackers:
            from experiments.reporting.wandb import WandbLogger

            loggers.append(stack.enter_context(WandbLogger.start(root, config or {})))
        yield SeveralLoggers(loggers)


def read_metrics(root: Path) -> list[dict[str, Any]]:
    """The entries of a run's `metrics.jsonl`, without what is none, such as a torn line."""
    path = root / FILE
    if not path.exists():
        return []
    entries = []
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries

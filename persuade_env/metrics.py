"""Metrics while they happen: what a trainer or a benchmark tells, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class MetricsLogger(Protocol):
    """Takes numbers as they come: a file, Weights & Biases, TensorBoard, or a class of your own."""

    def log(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """Takes the metrics of one step.

        Args:
            stage: what they are of, such as `dpo` or `benchmark`.
            step: counts from 1 within the stage.
            metrics: by name; see the docs page on metrics for what each means.
        """
        ...


class NoMetrics:
    """Takes metrics and does nothing with them.

    >>> NoMetrics().log("dpo", 1, {"loss": 0.69})
    """

    def log(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """See `MetricsLogger.log`."""

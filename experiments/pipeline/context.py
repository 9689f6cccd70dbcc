"""What a step of a run works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from experiments.configs.schema import RunSettings
from experiments.pipeline.data import RunData
from persuade_env.llm.pool import ModelPool
from persuade_env.metrics import MetricsLogger, NoMetrics


@dataclass(frozen=True)
class RunContext:
    """A run's folder and settings, its scenarios, and what is loaded for it."""

    root: Path
    settings: RunSettings
    data: RunData
    models: ModelPool = field(default_factory=ModelPool)
    """Language models that steps share; let go after each step."""
    metrics: MetricsLogger = field(default_factory=NoMetrics)
    elsewhere: Mapping[str, Path] = field(default_factory=dict)
    """Folders of steps that don't lie in `root`, by the step's name: what one seed of a comparison
    has of its own."""

    def folder(self, step: str) -> Path:
        """Where a step's results lie."""
        return self.elsewhere.get(step, self.root / step)

"""Trains DPO with the preset `smoke` and one changed setting, into a temporary folder (minutes)."""

import tempfile
from pathlib import Path

from experiments.configs.load import load_settings
from experiments.pipeline.run import train
from experiments.reporting.metrics import live_metrics, read_metrics


def main() -> None:
    root = Path(tempfile.mkdtemp(prefix="dpo-"))
    settings = load_settings(
        "smoke", overrides=["dpo.beta=0.05", 'train_user="concerns"', "max_train_scenarios=6"]
    )
    with live_metrics(root, config=settings) as metrics:
        train(root, settings, "dpo", metrics=metrics, on_progress=print)
    for entry in read_metrics(root):
        if entry["stage"] == "dpo" and "rewards/margins" in entry:
            print(f"step {entry['step']}: loss {entry['loss']:.3f}")
    print(f"checkpoint={root / 'dpo'}")


if __name__ == "__main__":
    main()

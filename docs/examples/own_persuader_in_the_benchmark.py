"""Benchmarks a persuader of one's own beside the scripted controls."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from agents import CONTROLS
from experiments.benchmark.config import BenchmarkSettings
from experiments.benchmark.dialogues import load_seconds, run_benchmark
from experiments.benchmark.tables import benchmark_table
from persuade_env import Dialogue, PersuaderReply, PersuaderTurn, load_user_model
from persuade_env.scenarios import load_corpus


class FactTeller:
    """Asks once, then tells one fact a turn."""

    def act(self, dialogues: Sequence[Dialogue], seeds: Sequence[int]) -> list[PersuaderReply]:
        return [
            PersuaderReply(turn=PersuaderTurn(response=self._respond(dialogue)))
            for dialogue in dialogues
        ]

    def _respond(self, dialogue: Dialogue) -> str:
        turn, facts = len(dialogue.persuader_turns), dialogue.scenario.facts
        return facts[(turn - 1) % len(facts)] if turn and facts else "What holds you back?"


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    rows = run_benchmark(
        {"facts": FactTeller, "naive": CONTROLS["naive"], "flattering": CONTROLS["flattering"]},
        {"concerns": lambda: load_user_model("concerns")},
        [record.scenario for record in load_corpus("test")],
        folder,
        BenchmarkSettings(baseline="naive"),
    )
    benchmark_table(rows, load_seconds(folder)).print(Console(width=120), "table")
    print(f"dialogues and results: {folder}")


if __name__ == "__main__":
    main()

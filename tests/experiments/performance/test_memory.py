"""The measurement of memory, and the limits on cached kernels."""

import mmap
import os
import subprocess
import sys

import pytest

from agents.persuaders.scripted import CONTROLS
from experiments.performance.memory import (
    MemoryReading,
    growth_per_100_dialogues,
    measure,
    resident_mebibytes,
)
from persuade_env.scenarios import load_corpus
from user_models.rule_based import RuleBasedUser


def test_every_dialogue_is_played_and_what_is_held_is_read_after_each_batch():
    scenarios = [record.scenario for record in load_corpus("train")[:3]]
    readings = iter([5.0, 7.0, 7.5])
    memory = list(
        measure(CONTROLS["naive"](), RuleBasedUser(), scenarios, 10, 4, 2, lambda: next(readings))
    )
    assert memory == [MemoryReading(4, 5.0), MemoryReading(8, 7.0), MemoryReading(10, 7.5)]


def test_a_leak_is_seen_and_a_full_cache_is_none():
    filling = [MemoryReading(n, min(100.0 + n, 500.0)) for n in range(50, 1001, 50)]
    leaking = [MemoryReading(n, 100.0 + 0.2 * n) for n in range(50, 1001, 50)]
    assert growth_per_100_dialogues(filling) == pytest.approx(0.0, abs=1e-6)
    assert growth_per_100_dialogues(leaking) == pytest.approx(20.0)


def test_what_is_held_counts_what_is_allocated():
    before = resident_mebibytes()
    with mmap.mmap(-1, 64 * 2**20) as block:  # the heap may hand out what was freed before
        block.write(b"x" * (64 * 2**20))
        assert resident_mebibytes() - before > 48


def test_the_command_line_limits_kept_kernels_before_torch_is_there_and_lets_others_decide():
    script = """
import os, sys
from experiments.cli import main as cli
assert "torch" not in sys.modules
names = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")
cli.app = lambda: print(*map(os.environ.get, names))
cli.main()
"""
    environment = {k: v for k, v in os.environ.items() if "CACHE_CAPACITY" not in k}
    for given, expected in (({}, "64 64"), ({"LRU_CACHE_CAPACITY": "7"}, "7 64")):
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment | given, capture_output=True, text=True
        )
        assert done.stdout.strip() == expected, done.stderr

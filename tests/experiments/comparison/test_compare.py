"""Several seeds of a method against SFT: what is compared with what, and how sure one can be."""

import json
import math

import numpy as np
import pytest

from experiments.benchmark.summary import summarize
from experiments.common.bootstrap import Estimate, crossed_mean
from experiments.common.storage import file_stem
from experiments.comparison.compare import (
    Compared,
    _shared_steps,
    check,
    over_baseline,
    stages_of_seed,
)
from experiments.configs.load import load_settings
from experiments.pipeline.context import RunContext
from experiments.pipeline.data import RunData
from persuade_env.errors import RunError, UnknownNameError
from persuade_env.rollout import rollout
from tests.helpers import FAILURE, ScriptedPersuader, ScriptedUser, felt, scenario

SCENARIOS = [scenario(f"leisure-{i:03d}") for i in range(1, 5)]


def episodes(*script, seed=0, n=4):
    return rollout(
        ScriptedPersuader("one two"),
        ScriptedUser(*script),
        SCENARIOS[:n],
        [100 * seed + number for number in range(n)],
        max_turns=1,
    )


def rng():
    return np.random.default_rng(0)


def test_both_seeds_and_scenarios_could_have_been_others():
    draws = np.random.default_rng(1)
    by_seed = np.repeat(np.array([[0.0], [1.0], [2.0]]), 20, axis=1)
    found = crossed_mean(by_seed, rng())
    assert found.value == pytest.approx(1.0)
    assert (found.low, found.high) == (0.0, 2.0)  # all seeds may be the worst, or the best
    by_scenario = np.repeat(draws.normal(size=(1, 200)), 3, axis=0)
    found = crossed_mean(by_scenario, rng())
    half = 1.96 * by_scenario[0].std() / math.sqrt(200)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)
    same = crossed_mean(np.full((3, 5), 0.5), rng())
    assert (same.value, same.low, same.high) == (0.5, 0.5, 0.5)


def test_what_failed_is_left_out():
    table = np.array([[1.0, np.nan], [1.0, 1.0]])
    found = crossed_mean(table, rng())
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_a_dialogue_is_compared_with_the_baselines_of_the_same_scenario_and_seed():
    better = [episodes(felt(6), seed=0), episodes(felt(5), seed=1)]
    baseline = [episodes(felt(4), seed=0), episodes(felt(4.5), seed=1)]
    table = over_baseline(better, baseline)
    assert table.tolist() == [[2.0] * 4, [0.5] * 4]
    # Of other episodes nothing can be said, nor of those in which something failed.
    assert np.isnan(over_baseline([episodes(felt(6), seed=3)], baseline[:1])).all()
    failed = [[*episodes(felt(4), n=3), *episodes(FAILURE, n=4)[3:]]]
    assert np.isnan(over_baseline(better[:1], failed)).tolist() == [[False] * 3 + [True]]


def test_results_are_plain_json():
    row = summarize("a", "u", episodes(felt(4)), None)
    one = Compared(row, Estimate(0.5, math.nan, 1.0), (0.25, math.nan), "learned+u@0.25")
    found = one.to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["over_sft"]["low"], found["by_seed"]) == (None, [0.25, None])
    assert found["learned_from"] == "learned+u@0.25"
    assert one.against_its_own


def test_one_scenario_has_no_interval():
    found = crossed_mean(np.ones((3, 1)), rng())
    assert found.value == 1.0
    assert math.isnan(found.low)


def test_methods_that_cannot_be_compared_are_named():
    with pytest.raises(UnknownNameError, match="reinforce"):
        check(["sft", "reinforce"])
    with pytest.raises(RunError, match="name sft"):
        check(["dpo"])
    with pytest.raises(UnknownNameError, match="consern"):
        check(["sft", "dpo@learned+consern"])
    with pytest.raises(UnknownNameError, match="sft@concerns"):
        check(["sft", "sft@concerns"])
    check(["sft", "best-of-8", "dpo@learned+concerns@0.25"])


def test_what_all_seeds_share(tmp_path):
    settings = load_settings("smoke")
    assert _shared_steps(tmp_path, settings, ["sft", "ppo"]) == {"sft", "user-model"}
    methods = ["sft", "dpo@held-out+concerns"]
    assert _shared_steps(tmp_path, settings, methods) == {"sft", "user-model", "held-out"}


def test_a_method_that_learns_from_another_user_has_a_place_of_its_own(tmp_path):
    settings = load_settings("smoke", seed=3)
    context = RunContext(tmp_path, settings, RunData.load(settings))
    stages = [
        (where.relative_to(tmp_path), stage)
        for where, stage in stages_of_seed(
            context,
            tmp_path / "seed-3",
            ("sft", "dpo", "dpo@learned+concerns@0.25", "ppo@learned=../x"),
            reused=None,
        )
    ]
    outside, played = file_stem("learned=../x"), file_stem("ppo@learned=../x")
    assert "/" not in outside + played
    assert [f"{where}/{stage.name}" for where, stage in stages] == [
        "seed-3/pool",
        "seed-3/preferences",
        "seed-3/dpo",
        "seed-3/against-learned+concerns@0.25/pool",
        "seed-3/against-learned+concerns@0.25/preferences",
        "seed-3/against-learned+concerns@0.25/dpo",
        f"seed-3/against-{outside}/ppo",
        "seed-3/played-sft/learned",
        "seed-3/played-sft/concerns",
        "seed-3/played-dpo/learned",
        "seed-3/played-dpo/concerns",
        "seed-3/played-dpo@learned+concerns@0.25/learned",
        "seed-3/played-dpo@learned+concerns@0.25/concerns",
        f"seed-3/played-{played}/learned",
        f"seed-3/played-{played}/concerns",
    ]
    learned_from = [
        stage.inputs["train_user"] for _, stage in stages if "train_user" in stage.inputs
    ]
    assert list(dict.fromkeys(learned_from)) == ["learned", "learned+concerns@0.25", "learned=../x"]

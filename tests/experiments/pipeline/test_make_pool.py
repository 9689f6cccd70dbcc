"""The steps on a pool, with a tiny persuader and the rule-based user."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from agents.preferences.data import load_preferences
from agents.preferences.foresight import CandidateGroup
from agents.preferences.pool import PoolCandidate, PooledContext
from experiments.cli.foresee import MEANINGS, foresee, summary_table
from experiments.common.resolve import agent_loader, resolve_agent_spec
from experiments.common.storage import write_json
from experiments.configs.load import load_settings
from experiments.pipeline import make, make_pool
from experiments.pipeline import run as pipeline
from experiments.pipeline.context import RunContext
from experiments.pipeline.data import RunData
from experiments.pipeline.steps import STEPS, needed_steps, steps_of_agent
from persuade_env.dialogue import Dialogue
from persuade_env.errors import RunError
from persuade_env.llm.checkpoint import read_checkpoint
from persuade_env.llm.pool import ModelPool
from persuade_env.protocols import UserReply, persuader_view
from tests.agents.tiny_world import tiny_checkpoint
from tests.helpers import FAILURE, scenario
from user_models.rule_based import RuleBasedUser


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a tiny SFT persuader, of which the steps on a pool are made."""
    root = tmp_path_factory.mktemp("run")
    tiny_checkpoint(root)
    settings = load_settings(
        "smoke",
        overrides=["pool.n_contexts=12", "pool.n_candidates=4", "rft.lora.max_tokens=1024"],
        train_user="concerns",
    )
    context = RunContext(root, settings, RunData.load(settings))
    for name in ("pool", "preferences", "rft", "foresight"):
        STEPS[name].make(context, root / name)
    return context


def test_a_pool_is_labelled_and_a_killed_one_goes_on(run, tmp_path):
    pooled = make_pool.read_pool(run.root / "pool")
    assert len(pooled) == 12
    assert all(len(one.candidates) == 4 and one.prompt_ids for one in pooled)
    assert all(c.attitude is not None and c.token_ids for one in pooled for c in one.candidates)
    known = {record.id for record in run.data.train}
    assert {one.scenario_id for one in pooled} <= known
    # Two batches and a torn line are left of it.
    lines = (run.root / "pool" / "pool.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "pool.jsonl").write_text("".join(lines[:2]) + lines[2][:50])
    make_pool.pool(run, tmp_path)
    for name in ("pool.jsonl", "summary.json"):
        assert (tmp_path / name).read_bytes() == (run.root / "pool" / name).read_bytes()


def test_preferences_are_of_the_best_against_the_worst(run):
    pairs = load_preferences(run.root / "preferences" / "preferences.jsonl")
    pooled = {one.context_id: one for one in make_pool.read_pool(run.root / "pool")}
    assert pairs
    for pair in pairs:
        attitudes = {c.token_ids: c.attitude for c in pooled[pair.context_id].candidates}
        assert attitudes[pair.chosen_ids] == max(attitudes.values())
        assert attitudes[pair.rejected_ids] == min(attitudes.values())
    summary = json.loads((run.root / "preferences" / "summary.json").read_text())
    assert (summary["contexts"], summary["candidates"]) == (12, 48)
    assert summary["pairs"] == len(pairs)


def test_paths_are_simulated_where_the_settings_say_so(run, tmp_path):
    paths = replace(
        run,
        settings=replace(
            run.settings, preferences=replace(run.settings.preferences, method="paths")
        ),
    )
    make_pool.preferences(paths, tmp_path)
    assert (tmp_path / "simulated.jsonl").is_file()
    assert json.loads((tmp_path / "summary.json").read_text())["contexts"] == 4


def test_rft_stacks_an_adapter_and_says_on_how_many_turns(run, tmp_path):
    assert read_checkpoint(run.root / "rft", "persuader").adapters == ("adapter-0", "adapter-1")
    assert json.loads((run.root / "rft" / "summary.json").read_text())["turns"] > 0
    strict = replace(run, settings=replace(run.settings, rft=replace(run.settings.rft, min_lead=9)))
    with pytest.raises(RunError, match=r"lower rft\.min_lead"):
        make_pool.rft(strict, tmp_path)


def test_what_is_foreseen_makes_an_agent(run):
    summary = json.loads((run.root / "foresight" / "summary.json").read_text())
    assert set(MEANINGS) < set(summary)
    assert summary["candidates"] == 48
    agent = agent_loader(resolve_agent_spec(run.root, "rerank-3"), ModelPool(), 24)()
    dialogue = persuader_view(Dialogue(scenario=scenario()))
    (reply,) = agent.act([dialogue], [0])
    assert reply.turn is not None
    assert reply.usage.completion_tokens <= 5 * 24
    assert summary_table(summary).csv().count("\n") == 1 + len(MEANINGS)


class Opposite(RuleBasedUser):
    """Likes what the rule-based user dislikes; knows nothing of one word."""

    def attitudes(self, dialogues):
        return [
            math.nan if "lamp" in dialogue.turns[-1].response else 8 - attitude
            for dialogue, attitude in zip(dialogues, super().attitudes(dialogues), strict=True)
        ]

    def reply(self, dialogues, seeds):
        return [UserReply(error=FAILURE) for _ in dialogues]


def test_another_user_s_steps_are_foreseen_by_what_was_learned_from_the_run_s(run):
    summary = json.loads((run.root / "foresight" / "summary.json").read_text())
    same = make_pool.foresight_for(run, RuleBasedUser())
    assert same == summary
    pooled = make_pool.read_pool(run.root / "pool")
    others = make_pool.relabelled(run, pooled, Opposite())
    for one, other in zip(pooled, others, strict=True):
        for ours, theirs in zip(one.candidates, other.candidates, strict=True):
            words = "lamp" not in ours.text
            assert theirs.attitude == (pytest.approx(8 - ours.attitude) if words else None)
    found = make_pool.foresight_for(run, Opposite())
    assert 0 < found["candidates"] < summary["candidates"]


def test_the_command_reads_the_run_s_settings_and_prints(run, monkeypatch, capsys):
    with pytest.raises(RunError, match="is no run"):
        foresee(run.root / "nowhere")
    asked = []
    monkeypatch.setattr(pipeline, "train", lambda *args, **kwargs: asked.append(args))
    write_json(run.root / "prepare" / "settings.json", asdict(run.settings))
    for user in ("", "concerns"):
        foresee(run.root, user_model=user, format="csv")
        assert asked.pop() == (run.root, run.settings, "foresight")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("rho,")]
    assert len(lines) == 2
    assert lines[0] == lines[1]


def test_the_summary_is_what_was_defined():
    def context(number, *attitudes):
        return PooledContext(
            f"c{number}",
            f"s{number % 4}",
            0,
            3.0,
            (1,),
            tuple(PoolCandidate("", 0, (1,), attitude) for attitude in attitudes),
        )

    pooled = [context(number, 3.0, 4.0, 5.0) for number in range(8)]
    groups = [
        CandidateGroup(one.scenario_id, np.zeros((3, 1)), np.array([-1.0, 0.0, 1.0]))
        for one in pooled
    ]
    right = make_pool.foresight_summary(pooled, groups, [group.steps / 5 for group in groups])
    assert right["rho"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert right["chosen_minus_mean"]["value"] == 1.0
    assert right["within_context_sd"]["value"] == 1.0
    assert (right["best_minus_mean"]["value"], right["best_minus_worst"]["value"]) == (1.0, 2.0)
    assert (right["contexts"], right["candidates"], right["scenarios"]) == (8, 24, 4)
    wrong = make_pool.foresight_summary(pooled, groups, [-group.steps for group in groups])
    assert (wrong["rho"]["value"], wrong["chosen_minus_mean"]["value"]) == (-1.0, -1.0)
    nothing = make_pool.foresight_summary(pooled, groups, [np.zeros(3) for _ in groups])
    assert nothing["rho"] == {"value": None, "low": None, "high": None}


def test_what_is_made_before_an_agent_depends_on_the_method():
    settings = load_settings()
    paths = load_settings(overrides=["preferences.method=paths"])
    assert steps_of_agent("rft", settings) == ["pool", "rft"]
    assert steps_of_agent("dpo", settings) == ["pool", "preferences", "dpo"]
    assert steps_of_agent("dpo", paths) == ["preferences", "dpo"]
    assert {"pool", "rft"} < set(needed_steps(settings))
    assert "foresight" not in needed_steps(settings)
    assert "foresight" in needed_steps(replace(settings, agents=("sft", "rerank-8")))
    assert STEPS["foresight"].all_needs(settings) >= {"pool", "sft", "user-model"}


def test_settings_of_the_other_method_make_nothing_anew(run):
    def inputs(*overrides):
        settings = load_settings("smoke", overrides=overrides, train_user="concerns")
        return STEPS["preferences"].inputs(replace(run, settings=settings))["settings"]

    assert inputs("n_contexts=9", "preferences.depth=3") == inputs()
    assert inputs("preferences.min_gap=0.7") != inputs()
    way = "preferences.method=paths"
    assert inputs(way, "preferences.min_gap=0.7") == inputs(way)
    assert inputs(way, "n_contexts=9") != inputs(way)


def test_contexts_are_drawn_by_the_seed(run):
    def drawn(count, seed):
        settings = replace(run.settings, seed=seed, max_turns=6)
        return [one.id for one in make.draw_contexts(run.data.train, settings, count)]

    assert drawn(9, 0) == drawn(9, 0)
    assert drawn(9, 0) != drawn(9, 1)
    assert drawn(5, 0) == drawn(9, 0)[:5]

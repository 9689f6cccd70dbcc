"""What a run works on, and where it goes."""

from dataclasses import replace
from pathlib import Path

import pytest

from experiments.cli.options import run_folder, run_settings
from experiments.common.resolve import resolve_agent_spec, resolve_user_spec, user_digests
from experiments.pipeline.data import RunData, left_out_domains
from experiments.pipeline.run import STAGES, run_stages, stages_of
from persuade_env.errors import RunError, ScenarioError
from persuade_env.scenarios import halves, load_corpus, split_of


def written(records, path):
    path.write_text("".join(record.model_dump_json() + "\n" for record in records))
    return path


def test_a_run_takes_the_corpus_split_by_split():
    data = RunData.load(run_settings("default", 0, None))
    assert data.train == load_corpus("train")
    assert data.validation == load_corpus("validation")
    assert data.test == load_corpus("test")[:14]


def test_a_scenario_file_takes_the_corpus_s_place(tmp_path):
    records = load_corpus()[:30]
    file = written(records, tmp_path / "mine.jsonl")
    data = RunData.load(run_settings("default", 3, file))
    assert [*data.train, *data.validation, *data.test]
    for split in ("train", "validation", "test"):
        assert getattr(data, split) == [one for one in records if split_of(one) == split]


def test_too_few_scenarios_are_refused_with_their_number(tmp_path):
    test = [record for record in load_corpus() if split_of(record) == "test"]
    with pytest.raises(RunError, match="0 scenarios for training and 3 for testing"):
        RunData.load(run_settings("default", 0, written(test[:3], tmp_path / "test.jsonl")))
    first, _ = halves(load_corpus("train"))
    one_half = written([*first[:2], test[0]], tmp_path / "half.jsonl")
    with pytest.raises(RunError, match="2 scenarios for training"):
        RunData.load(run_settings("default", 0, one_half))
    with pytest.raises(ScenarioError, match="no such file"):
        RunData.load(run_settings("default", 0, tmp_path / "none.jsonl"))


def test_runs_of_other_settings_go_to_other_folders():
    named = {
        run_folder(Path(), preset, seed, scenarios, train_user)
        for preset in ("default", "smoke")
        for seed in (0, 1)
        for scenarios in (None, Path("a/mine.jsonl"))
        for train_user in ("learned", "learned+concerns@0.25")
    }
    assert len(named) == 16
    assert {path.parent for path in named} == {Path("runs")}
    odd = run_folder(Path(), "default", 0, None, "learned=../elsewhere/user+concerns@0.25")
    assert odd == Path("runs/default-learned_.._elsewhere_user_concerns_0.25")
    assert run_folder(Path(), "default", 0, None) == Path("runs/default")
    assert run_folder(Path("here"), "default", 1, Path("mine.jsonl")) == Path("here")


def test_short_names_mean_the_models_of_a_run(tmp_path):
    here = f"learned={tmp_path / 'user-model'}"
    there = f"learned={tmp_path / 'held-out'}"
    assert resolve_user_spec(tmp_path, "learned") == here
    assert resolve_user_spec(tmp_path, "concerns") == "concerns"
    both = resolve_user_spec(tmp_path, "learned+held-out+concerns@0.25")
    assert both == f"population={here}+{there}+concerns@0.25"
    assert (
        resolve_user_spec(tmp_path, "population=concerns+prompted")
        == "population=concerns+prompted"
    )
    # In such a folder's specs nobody could tell the marks from the path.
    for root in (Path("runs/a+b"), Path("runs/a@b")):
        with pytest.raises(RunError, match="without \\+ or @"):
            resolve_user_spec(root, "learned+concerns")
        with pytest.raises(RunError, match="without \\+ or @"):
            resolve_agent_spec(root, "best-of-4")


def test_what_agents_learn_from_is_part_of_what_they_were_made_from(tmp_path):
    for name in ("user-model", "held-out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mind.json").write_text(name)
    before = user_digests(tmp_path, "learned+concerns@0.25")
    assert list(before) == ["learned"]
    (tmp_path / "held-out" / "mind.json").write_text("other")
    assert user_digests(tmp_path, "learned+concerns@0.25") == before
    (tmp_path / "user-model" / "mind.json").write_text("other")
    assert user_digests(tmp_path, "learned+concerns@0.25") != before


def test_the_unseen_user_is_trained_on_no_dialogue_of_the_domains_it_is_tested_in(tmp_path):
    settings = run_settings("default", 0, None)
    left_out = left_out_domains(load_corpus("train"))
    assert 10 <= len(left_out) <= 13
    stages = {one.name: one.inputs for one in stages_of(tmp_path, settings)}
    seen = {one["domain"] for one in stages["unseen"]["scenarios"]}
    assert seen
    assert not seen & left_out
    known = [one["id"] for one in stages["user-model"]["scenarios"]]
    assert {one["id"] for one in stages["unseen"]["scenarios"]} < set(known)


def test_a_run_trains_the_users_that_it_plays_or_learns_from_and_no_others():
    default, full = (run_settings(name, 0, None) for name in ("default", "full"))
    assert run_stages(full) == list(STAGES)
    assert "held-out" not in run_stages(default)
    assert "held-out" in run_stages(replace(default, train_user="learned+held-out@0.25"))
    assert "unseen" in run_stages(replace(default, train_user="unseen"))

"""What a run works on, and where it goes."""

from dataclasses import replace
from pathlib import Path

import pytest

from experiments.cli.options import run_folder
from experiments.common.measures import read_measures
from experiments.common.resolve import resolve_agent_spec, resolve_user_spec, user_digests
from experiments.common.storage import read_record
from experiments.configs.load import load_settings
from experiments.pipeline import make
from experiments.pipeline.context import RunContext
from experiments.pipeline.data import RunData, left_out_domains
from experiments.pipeline.steps import RUN_STEPS, STEPS, needed_steps
from persuade_env.errors import RunError, ScenarioError
from persuade_env.scenarios import halves, load_corpus, split_of
from persuade_env.spec import Spec
from tests.helpers import ScriptedPersuader
from user_models.rule_based import RuleBasedUser


def written(records, path):
    path.write_text("".join(record.model_dump_json() + "\n" for record in records))
    return path


def test_a_run_takes_the_corpus_split_by_split():
    data = RunData.load(load_settings())
    assert data.train == load_corpus("train")[:96]
    assert RunData.load(load_settings(max_train_scenarios=200)).train == load_corpus("train")
    assert data.validation == load_corpus("validation")
    assert data.test == load_corpus("test")[:14]


def test_a_scenario_file_takes_the_corpus_s_place(tmp_path):
    records = load_corpus()[:30]
    file = written(records, tmp_path / "mine.jsonl")
    data = RunData.load(load_settings(seed=3, scenarios=str(file)))
    assert [*data.train, *data.validation, *data.test]
    for split in ("train", "validation", "test"):
        assert getattr(data, split) == [one for one in records if split_of(one) == split]


def test_too_few_scenarios_are_refused_with_their_number(tmp_path):
    test = [record for record in load_corpus() if split_of(record) == "test"]
    with pytest.raises(RunError, match="0 scenarios for training and 3 for testing"):
        RunData.load(load_settings(scenarios=str(written(test[:3], tmp_path / "test.jsonl"))))
    first, _ = halves(load_corpus("train"))
    one_half = written([*first[:2], test[0]], tmp_path / "half.jsonl")
    with pytest.raises(RunError, match="2 scenarios for training"):
        RunData.load(load_settings(scenarios=str(one_half)))
    with pytest.raises(ScenarioError, match="no such file"):
        RunData.load(load_settings(scenarios=str(tmp_path / "none.jsonl")))


def test_runs_of_other_settings_go_to_other_folders():
    named = {
        run_folder(
            None,
            preset,
            None,
            load_settings(preset, seed=seed, scenarios=scenarios, train_user=train_user),
        )
        for preset in ("default", "smoke")
        for seed in (0, 1)
        for scenarios in (None, "a/mine.jsonl")
        for train_user in ("learned", "learned+concerns@0.25")
    }
    assert len(named) == 16
    assert {path.parent for path in named} == {Path("runs")}
    odd = run_folder(
        None, "default", None, load_settings(train_user="learned=../elsewhere/user+concerns@0.25")
    )
    assert odd == Path("runs/default-learned_.._elsewhere_user_concerns_0.25")
    assert run_folder(None, "default", None, load_settings()) == Path("runs/default")
    mine = run_folder(None, "default", Path("x/mine.toml"), load_settings())
    assert mine == Path("runs/default-mine")
    assert run_folder(Path("here"), "default", None, load_settings(seed=1)) == Path("here")


def test_short_names_mean_the_models_of_a_run(tmp_path):
    # Also where a text form could not tell its marks from the path.
    for root in (tmp_path, Path("runs/a+b@c=d")):
        here = Spec.of("learned", path=str(root / "user-model"))
        there = Spec.of("learned", path=str(root / "held-out"))
        assert resolve_user_spec(root, "learned") == here
        assert resolve_user_spec(root, "concerns") == Spec.of("concerns")
        several = resolve_user_spec(root, "learned+held-out+concerns@0.25")
        members = (here, there, Spec.of("concerns"))
        assert several == Spec.of("population", members=members, quantile=0.25)
        best = resolve_agent_spec(root, "best-of-4")
        sft = Spec.of("checkpoint", path=str(root / "sft"))
        assert best == Spec.of("best-of-n", n=4, agent=sft, user_model=here)
        mixed = resolve_agent_spec(root, "best-of-2=dpo@concerns")
        assert mixed.options["agent"] == Spec.of("checkpoint", path=str(root / "dpo"))


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
    settings = load_settings("full")
    left_out = left_out_domains(load_corpus("train"))
    assert 10 <= len(left_out) <= 13
    context = RunContext(tmp_path, settings, RunData.load(settings))
    seen = list(STEPS["unseen"].records(context))
    assert seen
    assert not {record.domain for record in seen} & left_out
    known = {record.id for record in STEPS["user-model"].records(context)}
    assert {record.id for record in seen} < known


def test_a_run_trains_the_users_that_it_plays_or_learns_from_and_no_others():
    default, full = (load_settings(name) for name in ("default", "full"))
    assert needed_steps(full) == list(RUN_STEPS)
    assert "held-out" not in needed_steps(default)
    assert "held-out" in needed_steps(replace(default, train_user="learned+held-out@0.25"))
    assert "unseen" in needed_steps(replace(default, train_user="unseen"))
    assert "grpo" not in needed_steps(default)
    assert "grpo" in needed_steps(replace(default, agents=("sft", "grpo")))


def test_what_a_step_needs_is_made_before_it():
    order = list(STEPS)
    for step in STEPS.values():
        needed = step.all_needs(load_settings())
        assert all(order.index(name) < order.index(step.name) for name in needed)
    assert STEPS["dpo"].all_needs(load_settings()) == {
        "prepare", "user-model", "sft", "pool", "preferences",
    }  # fmt: skip
    assert STEPS["ppo"].all_needs(load_settings(train_user="concerns")) == {"prepare", "sft"}


@pytest.mark.parametrize("with_personas", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_fidelity_report_has_the_sense_of_user_and_persuader(
    tmp_path, monkeypatch, with_personas
):
    loaded = []

    def load_user(*_):
        loaded.append("user")
        return RuleBasedUser

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(make, "user_model_loader", load_user)
    monkeypatch.setattr(make, "run_agent", killed)
    (tmp_path / "user-model").mkdir()
    data = RunData.load(load_settings("smoke", max_test_scenarios=6))
    if not with_personas:
        bare = [record.model_copy(update={"persona": None}) for record in data.test]
        data = replace(data, test=bare)
    context = RunContext(tmp_path, load_settings("smoke", max_test_scenarios=6), data)
    folder = tmp_path / "fidelity"
    with pytest.raises(KeyboardInterrupt):
        make.fidelity(context, folder)
    said = (folder / "sense.jsonl").read_text()
    assert '"batch": "persuadee 0"' in said
    monkeypatch.setattr(make, "run_agent", lambda *_: ScriptedPersuader())
    make.fidelity(context, folder)
    assert (folder / "sense.jsonl").read_text().startswith(said)
    tests = {measure.test for measure in read_measures(folder)}
    assert {"sense, user", "sense, persuader"} <= tests
    assert ("controls" in tests) is with_personas
    assert ("why" in read_record(folder / "card.json")) is not with_personas

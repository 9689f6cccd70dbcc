import json

import pytest

from experiments.benchmark.config import BenchmarkSettings
from experiments.benchmark.folder import MANIFEST, BenchmarkFolder
from experiments.common.stage import StageMismatchError, digest
from persuade_env.llm.pool import ModelPool
from persuade_env.scenarios import load_corpus
from persuade_env.spec import parse

SCENARIOS = [record.scenario for record in load_corpus("test")[:3]]
USERS = {"concerns": parse("concerns")}


def add(folder, *agents, settings=None, users=USERS, **options):
    settings = settings or BenchmarkSettings(max_turns=2, baseline="naive")
    place = BenchmarkFolder(folder, SCENARIOS, settings)
    specs = {name: parse(name) for name in agents}
    return place.add(specs, users, ModelPool(), **options)


def shown(rows):
    return [(row.agent, row.user_model) for row in rows]


def test_other_agents_are_added_beside_the_earlier_ones(tmp_path):
    folder = tmp_path / "b"
    first = add(folder, "naive", "silent")
    before = (folder / "episodes" / "naive--concerns.jsonl").read_bytes()
    both = add(folder, "flattering")
    assert shown(both) == [(name, "concerns") for name in ("naive", "silent", "flattering")]
    assert (folder / "episodes" / "naive--concerns.jsonl").read_bytes() == before
    assert both[0].metrics == first[0].metrics
    # The baseline was played before, and what is added is compared with it.
    assert both[2].baseline == "naive"


def test_calling_it_again_changes_nothing(tmp_path):
    add(tmp_path / "b", "naive", "silent")
    before = digest(tmp_path)
    assert shown(add(tmp_path / "b", "silent")) == [("naive", "concerns"), ("silent", "concerns")]
    assert digest(tmp_path) == before


def test_other_conditions_are_refused_by_name(tmp_path):
    add(tmp_path / "b", "naive")
    before = digest(tmp_path)
    other = BenchmarkSettings(max_turns=3, baseline="naive")
    with pytest.raises(StageMismatchError, match="max_turns: 2, now 3"):
        add(tmp_path / "b", "silent", settings=other)
    assert digest(tmp_path) == before
    rows = add(tmp_path / "b", "silent", settings=other, fresh=True)
    assert shown(rows) == [("silent", "concerns")]
    assert (tmp_path / "earlier" / "b-1" / "episodes" / "naive--concerns.jsonl").exists()


def test_another_model_of_the_same_name_is_refused(tmp_path):
    add(tmp_path / "b", "naive")
    users = {"concerns": parse("concerns+concerns@0.5")}
    with pytest.raises(StageMismatchError, match=r"user_models\.concerns\.spec"):
        add(tmp_path / "b", "naive", users=users)


def test_baseline_and_judge_are_only_shown(tmp_path):
    add(tmp_path / "b", "naive", "silent")
    rows = add(tmp_path / "b", "silent", settings=BenchmarkSettings(max_turns=2, baseline="silent"))
    assert {row.agent: row.baseline for row in rows} == {"naive": "silent", "silent": ""}


def test_dialogues_without_a_manifest_are_left_alone(tmp_path):
    add(tmp_path / "b", "naive")
    (tmp_path / "b" / MANIFEST).unlink()
    with pytest.raises(StageMismatchError, match="how they were played"):
        add(tmp_path / "b", "naive")


def test_no_password_is_stored(tmp_path):
    add(tmp_path / "b", "naive")
    users = {"mine": parse("prompted=http://ann:s3cret@localhost:1/v1#m")}
    place = BenchmarkFolder(tmp_path / "b", SCENARIOS, BenchmarkSettings(max_turns=2))
    manifest = place._manifest({}, users)
    assert "s3cret" not in json.dumps(manifest)
    assert "localhost:1/v1#m" in json.dumps(manifest)

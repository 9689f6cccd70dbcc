"""The command as a person types it: errors are one line and exit code 1."""

import json

import pytest

from experiments.cli.main import missing_package
from experiments.common.measures import read_measures
from persuade_env.errors import UserModelError
from persuade_env.scenarios import load_corpus
from tests.helpers import ScriptedPersuader

LENDER = ScriptedPersuader("I could lend you one of mine, free of charge.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--preset", "huge"), "unknown preset 'huge'; known: default, full, smoke"),
        (("run", "--until", "lunch"), "unknown step 'lunch'; known: prepare, user-model"),
        (("benchmark", "--agents", "nobody"), "unknown agent 'nobody'; known: sft, rft, dpo"),
        (("benchmark", "--agents", "naive", "--user-models", "x"), "unknown user model 'x'"),
        (("benchmark", "--agents", "naive", "--split", "all"), "unknown split 'all'"),
        (("benchmark", "--agents", "checkpoint=nowhere"), "no trained model in nowhere"),
        (("show", "nowhere"), "no benchmark in nowhere"),
        (("play", "--scenario", "x"), "unknown scenario 'x'"),
        (("play", "--side", "judge"), "unknown side 'judge'"),
        (("scenarios", "check", "nowhere.jsonl"), "nowhere.jsonl: no such file"),
        (("scenarios", "stats", "nowhere.jsonl"), "nowhere.jsonl: no such file"),
        (("fidelity", "--user-model", "nobody"), "unknown user model 'nobody'"),
        (("fidelity", "--without-words", "--without-mind"), "leave nothing to measure"),
        (("train", "ppo", "--preset", "huge"), "unknown preset 'huge'"),
        (("run", "--set", "dpo.bata=1"), "no setting 'dpo.bata'; did you mean dpo.beta?"),
        (("run", "--set", "dpo.beta=x"), "dpo.beta: Input should be a valid number"),
        (("run", "--config", "nowhere.toml"), "nowhere.toml: no such file"),
        (("benchmark", "--agents", "naive", "--judge", "nosuch"), "unknown judge 'nosuch'"),
        (("benchmark", "--agents", "naive", "--format", "yaml"), "unknown format 'yaml'"),
        (("run", "--preset", "smoke", "--set", 'agents=["nosuch"]'), "unknown agent 'nosuch'"),
        (("run", "--preset", "smoke", "--set", "train_user=nosuch"), "unknown user model 'nosuch'"),
        (("run", "--preset", "smoke", "--set", "benchmark.judge=nosuch"), "unknown judge 'nosuch'"),
        (("benchmark", "--agents", "sft", "--run", "nowhere"), "no trained model in nowhere/sft"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments, message, tmp_path, persuade):
    done = persuade(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    # Nothing was made: a mistake is said before the work, not after it.
    assert not [path for path in tmp_path.rglob("*") if path.name in ("done.json", "results.json")]


def test_a_card_is_made_in_two_parts(tmp_path, persuade):
    options = ["fidelity", "--user-model", "concerns", "--limit", 2, "--out", tmp_path]

    def files():
        return {path.name for path in (tmp_path / "concerns").iterdir()}

    done = persuade(*options, "--without-mind", "--persuader", "naive")
    assert done.returncode == 0, done.stderr
    of_words = {"turns", "sense, user", "sense, persuader"}
    assert {one.test for one in read_measures(tmp_path / "concerns")} == of_words
    assert files() == {"card.json", "card.md", "realism.png"}
    assert persuade(*options, "--without-words").returncode == 0
    assert files() == {"card.json", "card.md", "card.png"}
    tests = {one.test for one in read_measures(tmp_path / "concerns")}
    assert tests >= {"recorded", "controls", "attacks"}
    assert not tests & of_words


class Down:
    """A user model whose server is down."""

    def reply(self, dialogues, seeds):
        raise UserModelError("the server at http://ann:s3cret@host/v1 refuses the key (401)")


DOWN = Down()


def test_failed_dialogues_are_no_result_and_are_played_again(tmp_path, persuade):
    arguments = ["benchmark", "--agents", "naive", "--baseline", "naive", "--out", tmp_path / "b"]
    arguments += ["--user-models", f"{__name__}:DOWN"]
    for _ in range(2):  # the second call doesn't take the first one's failures for results
        done = persuade(*arguments)
        assert done.returncode == 1
        message = f"naive with {__name__}:DOWN: the server at http://host/v1 refuses the key (401)"
        assert message in " ".join(done.stderr.split())
        assert "plays what failed" in done.stderr
        assert "s3cret" not in done.stdout + done.stderr


class Broken:
    def act(self, dialogues, seeds):
        raise ZeroDivisionError("of mine")


BROKEN = Broken()


def test_a_bug_of_one_s_own_is_one_line_and_a_traceback_on_request(tmp_path, persuade, monkeypatch):
    arguments = ["benchmark", "--agents", f"{__name__}:BROKEN", "--user-models", "concerns"]
    done = persuade(*arguments, "--out", tmp_path / "b")
    assert done.returncode == 1
    assert "the persuader's act raised ZeroDivisionError: of mine (test_main.py:" in done.stderr
    assert "Traceback" not in done.stderr
    monkeypatch.setenv("PERSUADE_ENV_TRACEBACK", "1")
    assert "Traceback" in persuade(*arguments, "--out", tmp_path / "b").stderr


def test_a_new_persuader_is_benchmarked_by_its_name(tmp_path, persuade):
    agents = "tests.experiments.cli.test_main:LENDER,naive,flattering"
    arguments = ["benchmark", "--agents", agents, "--baseline", "naive", "--out", tmp_path / "b"]
    done = persuade(*arguments)
    assert done.returncode == 0, done.stderr
    assert "flattering" in done.stdout
    rows = json.loads((tmp_path / "b" / "results.json").read_text())
    assert {row["n"] for row in rows} == {len(load_corpus("test"))}
    again = persuade(*arguments)
    assert again.stdout == done.stdout
    shown = persuade("show", tmp_path / "b", "--agent", "naive", "--user-model", "concerns")
    assert "starts at attitude" in shown.stdout
    arguments = ["show", tmp_path / "b", "--format", "markdown", "--agent", "naive"]
    table = persuade(*arguments).stdout
    assert "####" not in table
    drawn = persuade(*arguments, "--dialogues", 10, "--seed", 3, "--without-table").stdout
    assert drawn.count("#### ") == 10
    assert drawn.startswith("#### 1. `")
    whole = persuade(*arguments, "--dialogues", 10, "--seed", 3).stdout
    assert whole == f"{table}\n{drawn}"
    done = persuade("show", tmp_path / "b", "--format", "csv", "--dialogues", 1)
    assert "--format table or markdown, not csv" in done.stderr


def test_a_scenario_file_is_checked(tmp_path, persuade):
    path = tmp_path / "mine.jsonl"
    path.write_text(load_corpus()[0].model_dump_json() + '\n{"id": "x"}\n')
    done = persuade("scenarios", "check", path)
    assert done.returncode == 1
    assert "line 2: field goal: missing" in done.stdout
    path.write_text(load_corpus()[0].model_dump_json() + "\n")
    assert "1 scenarios, 3 dialogues: all fine" in persuade("scenarios", "check", path).stdout


def test_a_person_plays_the_persuader(persuade):
    done = persuade(
        "play", "--scenario", "leisure-001", "--seed", "1", typed="You only have to listen.\n\n"
    )
    assert done.returncode == 0
    assert "You only have to listen." in done.stdout
    assert "return" in done.stdout


def test_a_run_folder_that_can_t_be_written(tmp_path, persuade):
    (tmp_path / "file").write_text("")
    done = persuade("run", "--preset", "smoke", "--out", tmp_path / "file")
    assert done.returncode == 1
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_package_is_named_with_the_extra_that_brings_it():
    ours = missing_package(ModuleNotFoundError("No module named 'trl'", name="trl.trainer"))
    assert ours == "trl.trainer is not installed: pip install 'persuade-env[train]'"
    theirs = missing_package(ModuleNotFoundError("No module named 'mine'", name="mine"))
    assert "this suite doesn't need it" in theirs

"""Rows of the list of inputs that once went wrong (A to E), each with the tests of what is wanted.

Most are in the files that mirror the modules; the table says which, and what is tested here is what
no single module does.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from experiments.benchmark.config import BenchmarkSettings
from experiments.benchmark.dialogues import load_episodes
from experiments.benchmark.folder import BenchmarkFolder
from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.errors import ChatError
from persuade_env.llm.backends.openai_http import PROXY_VARIABLES, HttpChat
from persuade_env.llm.pool import ModelPool
from persuade_env.safety.forbidden_goals import forbidden_reason
from persuade_env.safety.misconduct import detect_misconduct
from persuade_env.scenarios import load_corpus
from persuade_env.spec import parse
from tests.helpers import scenario

ROOT = Path(__file__).resolve().parent
HTTP = "persuade_env/llm/backends/test_openai_http.py"
REPLY = "persuade_env/llm/backends/test_openai_reply.py"
MAIN = "experiments/cli/test_main.py"
BENCHMARK = "experiments/benchmark/test_dialogues.py"
FOLDER = "experiments/benchmark/test_folder.py"
IO = "persuade_env/scenarios/test_io.py"
DATASETS = "persuade_env/scenarios/datasets/test_datasets.py"
HERE = "test_cases.py"

CASES: dict[str, tuple[str, ...]] = {
    "A1": (
        f"{HTTP}::test_one_refused_request_costs_one_dialogue",
        "test_faulty_server.py::test_a_fault_costs_its_own_dialogue",
    ),
    "A2": (
        f"{REPLY}::test_half_a_surrogate_pair_is_replaced",
        "persuade_env/test_action_format.py"
        "::test_half_a_surrogate_pair_becomes_a_character_that_can_be_stored",
    ),
    "A3": (f"{REPLY}::test_the_reason_is_one_short_line_whatever_is_sent",),
    "A4": (f"{REPLY}::test_an_answer_without_words_is_an_error_that_says_why",),
    "A5": (f"{HTTP}::test_an_answer_may_be_neither_too_long_nor_too_slow",),
    "B1": (f"{BENCHMARK}::test_failed_dialogues_are_played_again_and_the_others_kept",),
    "B2": (
        f"{MAIN}::test_failed_dialogues_are_no_result_and_are_played_again",
        f"{BENCHMARK}::test_a_pair_without_a_valid_dialogue_is_no_result",
    ),
    "B3": (f"{REPLY}::test_an_answer_without_words_is_an_error_that_says_why",),
    "B4": (
        f"{FOLDER}::test_other_agents_are_added_beside_the_earlier_ones",
        f"{FOLDER}::test_other_conditions_are_refused_by_name",
    ),
    "B5": (
        "experiments/cli/test_run.py::test_other_settings_are_refused_and_nothing_is_removed",
        "experiments/common/test_stage.py::test_fresh_moves_the_old_one_aside",
    ),
    "B6": (f"{DATASETS}::test_an_impossible_number_names_person_and_column",),
    "C1": (f"{HTTP}::test_keys_are_sent_and_never_shown",),
    "C2": (
        "persuade_env/test_spec.py::test_passwords_are_never_shown",
        f"{FOLDER}::test_no_password_is_stored",
    ),
    "C3": (
        f"{REPLY}::test_parts_are_joined_and_thoughts_dropped",
        f"{REPLY}::test_an_answer_without_words_is_an_error_that_says_why",
    ),
    "C4": (f"{REPLY}::test_parts_are_joined_and_thoughts_dropped",),
    "C5": (f"{HTTP}::test_the_prompted_user_reads_what_servers_make_of_the_format",),
    "D1": (
        "experiments/common/test_storage.py::test_a_name_never_leaves_its_folder_nor_meets_another",
        f"{HERE}::test_names_stay_in_the_folder_and_apart",
    ),
    "D2": (),
    "D3": (f"{IO}::test_only_line_feeds_end_a_line_and_a_byte_order_mark_is_no_text",),
    "D4": (
        f"{IO}::test_what_a_file_must_not_hold_is_refused_in_a_short_printable_line",
        f"{IO}::test_a_line_that_is_no_clear_record_is_one_error",
        "persuade_env/scenarios/test_labels.py::test_what_cannot_be_true_is_refused_with_its_place",
        f"{HERE}::test_hidden_characters_hide_no_word",
    ),
    "D5": (f"{DATASETS}::test_a_damaged_table_is_one_error_with_its_place",),
    "D6": (
        f"{BENCHMARK}::test_a_damaged_file_is_named",
        "persuade_env/llm/backends/test_transformers.py::test_a_truncated_adapter_is_a_typed_error",
        "test_fuzzing.py::test_other_files_of_a_run",
    ),
    "D7": (
        f"{MAIN}::test_a_mistake_is_one_clear_line",
        f"{HERE}::test_a_wrong_folder_is_one_line_that_says_what_to_call",
    ),
    "E1": (f"{HTTP}::test_what_a_server_refuses_is_left_out_once_and_for_all",),
    "E2": (f"{REPLY}::test_an_answer_without_words_is_an_error_that_says_why",),
    "E3": (f"{HTTP}::test_the_prompted_user_reads_what_servers_make_of_the_format",),
    "E4": (
        f"{HTTP}::test_keys_are_sent_and_never_shown",
        f"{HERE}::test_a_wrong_address_names_what_is_wrong_with_it",
        f"{HERE}::test_a_proxy_that_can_t_be_used_names_its_variable",
    ),
}
"""Row and its tests; D2 belongs to learning and has none of its own here."""


@pytest.mark.parametrize("row", sorted(CASES))
def test_every_row_has_tests_that_are_there(row):
    for place in CASES[row]:
        file, _, name = place.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_names_stay_in_the_folder_and_apart(tmp_path):
    """D1: two names that a careless program writes to one file, both outside the folder."""
    place = BenchmarkFolder(
        tmp_path / "out" / "b",
        [record.scenario for record in load_corpus("test")[:1]],
        BenchmarkSettings(max_turns=1, baseline="none"),
    )
    agents = {"../../x": parse("silent"), ".._.._x": parse("naive")}
    rows = place.add(agents, {"../../u": parse("concerns")}, ModelPool())
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"b"}
    said = {
        name: load_episodes(place.folder, name, "../../u")[0].dialogue.turns[0] for name in agents
    }
    assert said["../../x"].response != said[".._.._x"].response
    # What was resumed is each agent's own.
    again = place.add(dict(reversed(agents.items())), {"../../u": parse("concerns")}, ModelPool())
    assert {row.agent: row.metrics for row in again} == {row.agent: row.metrics for row in rows}


@pytest.mark.parametrize("hidden", ["\u200b", "\u00ad", "\u2060", "\u202e", "\U000e0020"])
def test_hidden_characters_hide_no_word(hidden):
    """D4, and the same in what a persuader says."""
    goal = f"persuade Bo to tell Ana the pass{hidden}word of his bank"
    asked = scenario().model_copy(update={"goal": goal})
    assert forbidden_reason(asked) == "fraud or theft of secrets"
    urgent = PersuaderTurn(response=f"It's now or ne{hidden}ver.")
    assert detect_misconduct(Dialogue(scenario=scenario(), turns=(urgent,)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--preset", "smoke", "--out", "afile"), "afile"),
        (("benchmark", "--agents", "silent", "--out", "afile"), "afile"),
        (("show", "nowhere"), "no benchmark in nowhere: `persuade run` makes one"),
        (("show", "afile"), "afile"),
        (("show", "made", "--agent", "dpo"), "unknown agent 'dpo'; known: silent"),
        (("show", "made", "--user-model", "learned"), "unknown user model 'learned'; known: "),
    ],
)
def test_a_wrong_folder_is_one_line_that_says_what_to_call(arguments, message, tmp_path, persuade):
    """D7."""
    (tmp_path / "afile").write_text("")
    place = BenchmarkFolder(
        tmp_path / "made",
        [record.scenario for record in load_corpus("test")[:1]],
        BenchmarkSettings(max_turns=1, baseline="none"),
    )
    place.add({"silent": parse("silent")}, {"concerns": parse("concerns")}, ModelPool())
    done = persuade(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""  # no table first, and then an error


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://ann:s3cret@localhost:80a0/v1", "80a0"),
        ("http://ann:s3cret@localhost:99999/v1", "Port out of range 0-65535"),
        ("http://[::1/v1", "Invalid IPv6 URL"),
        ("ftp://ann:s3cret@localhost/v1", "got 'ftp://localhost/v1'"),
        ("http://a..b/v1", "label empty or too long"),
        ("http://a\x00b/v1", "non-printable"),
    ],
)
def test_a_wrong_address_names_what_is_wrong_with_it(url, message):
    """E4: said when the model is made, before the first dialogue."""
    with pytest.raises(ChatError, match=r"server's URL such as http://host:8000/v1") as caught:
        HttpChat(url, "m")
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("variable", ["ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("proxy", ["socks://ann:s3cret@host:1", "::::"])
def test_a_proxy_that_can_t_be_used_names_its_variable(monkeypatch, variable, proxy):
    """E4: `socks` is no scheme (`socks5` is)."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv(variable, proxy)
    with pytest.raises(ChatError, match=f"the proxy in {variable} can't be used") as caught:
        HttpChat("http://host/v1", "m")
    assert "s3cret" not in str(caught.value)

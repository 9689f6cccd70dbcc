"""Whatever stands in a file, a spec or an answer: it is read, or refused by a typed error.

A few dozen inputs of each kind in the ordinary tests, 10,000 by `make torture`.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.preferences.data import load_preferences
from experiments.benchmark.config import BenchmarkSettings
from experiments.benchmark.dialogues import load_episodes, load_seconds, run_benchmark
from experiments.benchmark.folder import MANIFEST, BenchmarkFolder
from experiments.benchmark.summary import load_rows
from experiments.benchmark.tables import benchmark_table
from experiments.common.measures import MEASURES_FILE, read_measures
from experiments.common.stage import Stage
from experiments.configs.load import from_json, load_settings, parse_override, to_toml
from experiments.configs.schema import RunSettings
from experiments.reporting.metrics import read_metrics
from persuade_env.action_format import parse_turn, read_action
from persuade_env.dialogue import Dialogue, PersuaderTurn
from persuade_env.errors import (
    ChatError,
    ConfigError,
    JudgeError,
    MalformedTurnError,
    PersuadeError,
    RunError,
    ScenarioError,
    SpecError,
    UserModelError,
)
from persuade_env.judges.chat import read_verdict
from persuade_env.judges.learned import read_learned_judge
from persuade_env.llm.backends.openai_reply import read_answer, reason, without_reasoning
from persuade_env.llm.checkpoint import read_checkpoint
from persuade_env.llm.pool import ModelPool
from persuade_env.llm.sanitize import sanitize
from persuade_env.protocols import Completion, StopReason
from persuade_env.safety.misconduct import detect_misconduct
from persuade_env.scenarios.io import MAX_ERROR_CHARACTERS, check, load
from persuade_env.spec import Spec, parse, parse_chat_model
from tests.helpers import ScriptedPersuader, ScriptedUser, felt, scenario
from tests.mutations import ODD_VALUES, as_bytes, files, mutated_bytes, mutated_json, texts
from tests.valid_inputs import (
    ANSWER,
    CHECKPOINT,
    MEASURES,
    PEOPLE,
    PREFERENCE,
    SOURCES,
    TABLE,
    TEXT_SPECS,
    UNITS,
)
from user_models.learned.attitude_model import read_attitude_model
from user_models.prompted import PromptedUser

pytestmark = pytest.mark.fuzz

MAX_SECONDS = 10.0
"""Of this thread's computing time for one input; the slowest takes a hundredth of it."""


@dataclass
class Tally:
    """What became of the inputs of one kind."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    kinds: set[str] = field(default_factory=set)


TALLIES: dict[str, Tally] = defaultdict(Tally)


@pytest.fixture(scope="module", autouse=True)
def told(figure):
    """Prints the tallies below the results."""
    yield
    for name, tally in TALLIES.items():
        figure(
            f"{name}: {tally.read + tally.refused} inputs, {tally.read} read, {tally.refused} "
            f"refused ({', '.join(sorted(tally.kinds))}), slowest {1000 * tally.slowest:.0f} ms"
        )


def attempt(name: str, call: Callable[[], Any], *errors: type[Exception]) -> Any:
    """What a call gives, None where it raises one of these errors; others are a test's failure."""
    began, result, message, tally = time.thread_time(), None, "read", TALLIES[name]
    try:
        result = call()
        tally.read += 1
    except errors as error:
        message = str(error)
        tally.refused += 1
        tally.kinds.add(type(error).__name__)
    assert message
    took = time.thread_time() - began
    tally.slowest = max(tally.slowest, took)
    assert took < MAX_SECONDS
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzzed")


def read_scenarios(name: str, path: Any, format: str) -> None:
    """Checks and loads a file; the two have to agree."""
    loaded = attempt(name, partial(load, path, format), ScenarioError)
    records, errors = check(path, format)
    assert loaded is None if errors else loaded == records
    for line in errors:
        assert len(line) <= MAX_ERROR_CHARACTERS + len(str(path)) + 100
        assert line.isprintable()


@pytest.mark.parametrize("format", sorted(SOURCES))
@given(data=st.data())
def test_scenario_files(folder, format, data):
    path = folder / f"{format}.json"
    path.write_bytes(data.draw(files(SOURCES[format])))
    read_scenarios(f"scenario files ({format})", path, format)


@given(people=mutated_bytes(PEOPLE) | st.just(PEOPLE), units=mutated_bytes(UNITS))
def test_scenario_folders(folder, people, units):
    (folder / "full_info.csv").write_bytes(people)
    (folder / "full_dialog.csv").write_bytes(units)
    read_scenarios("scenario files (persuasion_for_good)", folder, "persuasion_for_good")


@given(texts("Analysis: She fears the cost.\nStrategy: Offer a trial\nResponse: Come along.\n"))
def test_actions(text):
    turn, malformed = attempt("actions", lambda: read_action(text))
    assert PersuaderTurn.model_validate_json(turn.model_dump_json()) == turn
    parsed = attempt("actions, strictly", lambda: parse_turn(text), MalformedTurnError)
    assert malformed or parsed is None or parsed.response == turn.response


class Says:
    """A chat model that says one thing."""

    def __init__(self, text: str, stop: StopReason) -> None:
        self.completion = Completion(text, stop, 1, 1)

    def generate(self, prompts, seeds, **settings):
        return [self.completion for _ in prompts]


OPENED = Dialogue(scenario=scenario()).extended(PersuaderTurn(response="Come along."))


@given(
    text=texts("**5/7 continue hopeful**\nBo: And who feeds the dog? I can't"),
    stop=st.sampled_from(StopReason),
)
def test_replies_of_a_prompted_user(text, stop):
    user = PromptedUser(Says(text, stop))
    (reply,) = attempt("replies of a prompted user", lambda: user.reply([OPENED], [1]))
    assert (reply.turn is None) == isinstance(reply.error, UserModelError)
    if reply.turn is not None:
        assert OPENED.extended(reply.turn).turns[-1].response.strip()


LONG = 200_000
"""Characters: more than any model writes, and far less than a server may send."""
READERS: dict[str, Callable[[str], Any]] = {
    "actions": read_action,
    "thoughts": without_reasoning,
    "sanitize": sanitize,
    "replies": lambda text: PromptedUser(Says(text, StopReason.LENGTH)).reply([OPENED], [1]),
    "verdicts": read_verdict,
    "specs": parse,
    "misconduct": lambda text: detect_misconduct(
        Dialogue(scenario=scenario()).extended(read_action(text[: LONG // 10])[0])
    ),
}
REPEATED = (
    " ", "\t", "\n", " \n", "a ", "a:", "Analysis: x\n", "Response:\n", "5 ", "5 continue a-",
    "<", "<|", "<a", "<think>", "</think>", "[|", "**", "__", "```", "-", ".", "winner ", "winner*",
    "\u200b", "\ud83d", "+a", "@", "best-of-1=a@",
)  # fmt: skip
BEFORE = ("", "5 continue ", "winner: ", "Analysis: ")


@pytest.mark.parametrize("name", sorted(READERS))
def test_time_is_bounded_where_a_text_repeats_itself(name):
    """Expressions that go back over and over would take minutes or hours here."""
    for before in BEFORE:
        for unit in REPEATED:
            text = before + unit * (LONG // len(unit))
            attempt(f"long texts ({name})", partial(READERS[name], text), PersuadeError)


@given(texts("Because of the tent.\n**Winner:** Dialogue B"))
def test_verdicts(text):
    attempt("verdicts", lambda: read_verdict(text))


@given(files(ANSWER) | files({"error": {"code": 429, "message": "slow"}}))
@example(
    b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 1%s}}' % (b"0" * 400)
)
@example(b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": -1}}')
@example(b'{"error": {"code": "%s", "message": "x"}}' % (b"9" * 5000))
@example('{"error": {"code": "\u0663\u0663"}}'.encode())
def test_answers_of_a_server(body):
    completion = attempt("answers of a server", lambda: read_answer("http://h", body), ChatError)
    if completion is not None:
        completion.text.encode()
        assert 0 <= completion.prompt_tokens < 2**63
        assert 0 <= completion.completion_tokens < 2**63
    assert len(reason(body)) <= 200


def is_object(value: Any) -> bool:
    return isinstance(value, dict)


TOML = to_toml(RunSettings())


@given(mutated_bytes(TOML.encode()) | st.binary(max_size=40))
def test_configuration_files(folder, content):
    path = folder / "settings.toml"
    path.write_bytes(content)
    settings = attempt("configuration files", lambda: load_settings("default", path), ConfigError)
    if settings is not None:
        assert isinstance(settings, RunSettings)


@given(mutated_json(json.loads(json.dumps(asdict(RunSettings())))).filter(is_object))
def test_stored_settings(table):
    attempt("stored settings", lambda: from_json(table, "settings.json"), ConfigError)


@given(texts("dpo.beta=0.05") | texts("agents=['sft', 'dpo']"))
def test_settings_of_a_command_line(text):
    attempt("settings, name=value", lambda: parse_override(text), ConfigError)
    attempt("settings, --set", lambda: load_settings(overrides=[text]), ConfigError)


@given(
    spec=st.one_of(*map(texts, TEXT_SPECS), mutated_json(TABLE), ODD_VALUES),
)
@example(spec="best-of-%s=a@b" % ("9" * 5000))
def test_specs(spec):
    parsed = attempt("specs", lambda: parse(spec), SpecError)
    attempt("specs of chat models", lambda: parse_chat_model(spec), SpecError)
    if parsed is not None:
        assert isinstance(parsed, Spec)
        hash(parsed)
        assert isinstance(str(parsed), str)
        again = parse(parsed.to_json())
        assert again == parsed


SETTINGS = BenchmarkSettings(batch_size=2, max_turns=2, baseline="base")
SCENARIOS = [scenario(f"leisure-{number}") for number in range(2)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A finished benchmark, and its files' contents."""
    place = tmp_path_factory.mktemp("results") / "benchmark"
    run_benchmark(
        {"base": ScriptedPersuader, "other": lambda: ScriptedPersuader("Hello.")},
        {"u": lambda: ScriptedUser(felt(4))},
        SCENARIOS,
        place,
        SETTINGS,
    )
    return place


def damage(data: st.DataObject, path: Any) -> Callable[[], None]:
    """Changes a file; gives what puts it right again."""
    content = path.read_bytes()
    value = json.loads(content.splitlines()[0] if path.suffix == ".jsonl" else content)
    end = b"\n" if path.suffix == ".jsonl" else b""
    path.write_bytes(data.draw(files(value)) + end)
    return lambda: path.write_bytes(content)


@pytest.mark.parametrize("name", ["results.json", "timings.json", "episodes/base--u.jsonl"])
@given(data=st.data())
def test_results(results, name, data):
    mend = damage(data, results / name)

    def read() -> None:
        rows = load_rows(results)
        seconds = load_seconds(results)
        load_episodes(results, "base", "u")
        benchmark_table(rows, seconds).markdown()

    try:
        attempt(f"results ({name})", read, RunError)
    finally:
        mend()


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A folder with a manifest."""
    place = tmp_path_factory.mktemp("played") / "benchmark"
    add(place)
    return place


def add(place: Any) -> None:
    settings = BenchmarkSettings(max_turns=1, baseline="silent")
    concerns, silent = {"concerns": parse("concerns")}, {"silent": parse("silent")}
    BenchmarkFolder(place, SCENARIOS[:1], settings).add(silent, concerns, ModelPool())


@given(data=st.data())
def test_manifests(played, data):
    mend = damage(data, played / MANIFEST)
    try:
        attempt("manifests of benchmarks", lambda: add(played), RunError)
    finally:
        mend()


@given(data=st.data(), name=st.sampled_from(["done.json", "begun.json"]))
def test_stages(folder, data, name):
    stage = Stage("s", lambda place: (place / "a.txt").write_text("x"), {"rank": 8, "seed": [1]})
    (folder / "s").mkdir(exist_ok=True)
    (folder / "s" / "done.json").unlink(missing_ok=True)
    (folder / "s" / "begun.json").unlink(missing_ok=True)
    (folder / "s" / "a.txt").unlink(missing_ok=True)
    stage.run(folder)
    if name == "begun.json":
        (folder / "s" / "done.json").unlink()
    damage(data, folder / "s" / name)
    attempt("records of stages", lambda: stage.run(folder), RunError)
    attempt("records of stages, shown", lambda: stage.is_made(folder), RunError)


@pytest.mark.parametrize(
    ("name", "valid", "read", "error"),
    [
        (MEASURES_FILE, MEASURES, lambda path: read_measures(path.parent), RunError),
        ("metrics.jsonl", {"stage": "dpo", "step": 1}, lambda p: read_metrics(p.parent), RunError),
        ("pairs.jsonl", PREFERENCE, load_preferences, PersuadeError),
        (
            "checkpoint.json",
            CHECKPOINT,
            lambda path: read_checkpoint(path.parent, "user_model"),
            ChatError,
        ),
        ("mind.json", {"features": []}, lambda p: read_attitude_model(p.parent), UserModelError),
        ("judge.json", {"spoken": []}, read_learned_judge, JudgeError),
    ],
)
@given(data=st.data())
def test_other_files_of_a_run(folder, name, valid, read, error, data):
    path = folder / name
    path.write_bytes(data.draw(files(valid)))
    attempt(f"files of a run ({name})", lambda: read(path), error)
    path.write_bytes(as_bytes(valid))

import math
from dataclasses import replace

import pandas as pd
import pytest

from agents.training.config import GRPOSettings, PPOSettings
from experiments.benchmark import summary
from experiments.benchmark.config import BenchmarkSettings
from experiments.benchmark.dialogues import load_episodes, run_benchmark, run_pair
from experiments.benchmark.summary import Row, load_rows, require_dialogues, summarize
from experiments.benchmark.tables import benchmark_table
from experiments.common.storage import BatchLog
from persuade_env.dialogue import Decision
from persuade_env.episode import Episode
from persuade_env.errors import RunError, UserModelError
from persuade_env.protocols import UserReply, Verdict
from persuade_env.rollout import rollout
from tests.helpers import FAILURE, ScriptedPersuader, ScriptedUser, felt, scenario, spoken

SCENARIOS = [scenario(f"leisure-{i:03d}") for i in range(1, 8)]
SETTINGS = BenchmarkSettings(batch_size=3, max_turns=3, baseline="base")


def episodes(*script, n=4):
    return rollout(
        ScriptedPersuader("one two one two"),
        ScriptedUser(*script),
        SCENARIOS[:n],
        list(range(n)),
        max_turns=3,
    )


def test_the_metrics_are_what_they_say():
    row = summarize("a", "u", episodes(felt(4), felt(6, Decision.ACCEPT)), None)
    value = {name: one.value for name, one in row.metrics.items()}
    assert row.n == 4
    assert value["success"] == 1
    assert value["attitude_gain"] == 3
    assert value["return"] == 3 + 0.5
    assert value["turns"] == 2
    assert value["words"] == 4
    assert value["refused"] == 0
    assert value["invalid"] == 0
    assert value["distinct_2"] == pytest.approx(2 / 6)  # "one two", "two one" of six pairs
    assert value["tokens"] == 4
    assert math.isnan(value["win_rate"])


class Speaks:
    """Says what a function of the dialogue gives."""

    def __init__(self, say):
        self.say = say

    def act(self, dialogues, seeds):
        return [spoken(self.say(dialogue)) for dialogue in dialogues]


class AsksAboutAThing:
    """Asks about one thing in each scenario, which the scenario's domain names."""

    def reply(self, dialogues, seeds):
        return [
            UserReply(turn=felt(3, response=f"Who would pay for the {one.scenario.domain}?"))
            for one in dialogues
        ]


THINGS = (
    "bread", "violin", "bicycle", "insurance", "tomato", "museum", "surgery", "marathon", "winter",
    "library", "passport", "fireworks", "orchard", "submarine", "wedding", "chess", "volcano",
    "laundry", "parliament", "lighthouse", "puppet", "glacier", "dentist", "harvest", "satellite",
)  # fmt: skip


@pytest.mark.parametrize(
    ("say", "found", "repeats"),
    [
        (lambda one: f"{len(one.turns)} euros: I'd pay for the {one.scenario.domain}.", 1, 0),
        (lambda one: "I want you to come along with us, and that's all I have to say.", 0, 1),
        (lambda one: "", 0, 0),
    ],
)
def test_turns_that_answer_are_found_and_copies_are_counted(say, found, repeats):
    about = [
        scenario(f"leisure-{number}").model_copy(update={"domain": thing})
        for number, thing in enumerate(THINGS)
    ]
    played = rollout(Speaks(say), AsksAboutAThing(), about, [0] * len(about), max_turns=3)
    row = summarize("a", "u", played, None)
    # An answer that fits anywhere may be nearest to one of the twenty.
    assert row.metrics["found"].value == pytest.approx(found, abs=0.1)
    assert row.metrics["repeats"].value == repeats
    few = summarize("a", "u", played[:3], None)
    assert math.isnan(few.metrics["found"].value)
    assert few.metrics["repeats"].value == repeats
    opening = summarize(
        "a", "u", rollout(Speaks(say), AsksAboutAThing(), about, [0] * 25, max_turns=1), None
    )
    assert math.isnan(opening.metrics["repeats"].value)


def test_what_matters_less_is_left_out_where_a_terminal_is_narrow():
    table = benchmark_table([summarize("a", "u", episodes(felt(4)), None)], {})
    shown = [table.columns[index].heading for index in table.fitting(100)]
    assert "success" in shown
    assert not {"found", "repeats"} & set(shown)


def test_the_return_is_in_the_weights_that_are_trained_on(tmp_path):
    class Malformed(ScriptedPersuader):
        def act(self, dialogues, seeds):
            return [replace(reply, malformed=True) for reply in super().act(dialogues, seeds)]

    def returned(name, **settings):
        (row,) = run_benchmark(
            {"a": Malformed}, users(), SCENARIOS, tmp_path / name, replace(SETTINGS, **settings)
        )
        return row.metrics["return"].value

    # Two turns take the attitude from 3 to 6.
    assert returned("default") == pytest.approx(3 + 0.5 - 2 * 0.1)
    assert SETTINGS.reward == PPOSettings().reward == GRPOSettings().reward
    assert returned("own", reward=(("outcome", 2.0),)) == 2.0


def test_invalid_dialogues_are_counted_and_never_averaged_in():
    mixed = episodes(felt(6, Decision.ACCEPT), n=3) + episodes(FAILURE, n=1)
    row = summarize("a", "u", mixed, None)
    assert row.metrics["invalid"].value == 0.25
    assert row.metrics["success"].value == 1
    assert row.n == 3


def test_the_win_rate_is_against_the_same_scenario_and_seed():
    won, lost = episodes(felt(6, Decision.ACCEPT)), episodes(felt(2, Decision.REFUSE))
    assert summarize("a", "u", won, lost).metrics["win_rate"].value == 1
    assert summarize("a", "u", lost, won).metrics["win_rate"].value == 0
    assert summarize("a", "u", won, won).metrics["win_rate"].value == 0.5


def agents():
    return {"base": ScriptedPersuader, "other": lambda: ScriptedPersuader("Hello.")}


def users():
    return {"u": lambda: ScriptedUser(felt(4), felt(6, Decision.ACCEPT))}


def test_a_benchmark_goes_on_where_it_was_killed(tmp_path):
    whole = run_benchmark(agents(), users(), SCENARIOS, tmp_path / "whole", SETTINGS)
    torn = tmp_path / "torn"

    class Dies(ScriptedPersuader):
        def act(self, dialogues, seeds):
            if dialogues[0].scenario.id == "leisure-004":
                raise KeyboardInterrupt
            return super().act(dialogues, seeds)

    with pytest.raises(KeyboardInterrupt):
        run_benchmark(
            {**agents(), "other": lambda: Dies("Hello.")}, users(), SCENARIOS, torn, SETTINGS
        )
    stored = (torn / "episodes" / "other--u.jsonl").read_text()
    assert stored.count("\n") == 1
    run_benchmark(agents(), users(), SCENARIOS, torn, SETTINGS)
    for name in ("results.json", "results.parquet", "episodes/other--u.jsonl"):
        assert (torn / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert [row.to_json() for row in load_rows(torn)] == [row.to_json() for row in whole]


def test_stored_batches_are_not_played_again(tmp_path):
    log = BatchLog(tmp_path / "log.jsonl")
    first, _ = run_pair(ScriptedPersuader(), users()["u"](), SCENARIOS, log, SETTINGS)
    again, seconds = run_pair(ScriptedPersuader(), ScriptedUser(), SCENARIOS, log, SETTINGS)
    assert again == first
    assert seconds == 0


class FailsOnce(ScriptedUser):
    """Fails on two scenarios as long as `down`."""

    down = True

    def reply(self, dialogues, seeds):
        answers = super().reply(dialogues, seeds)
        return [
            UserReply(error=FAILURE)
            if self.down and dialogue.scenario.id in ("leisure-002", "leisure-006")
            else answer
            for dialogue, answer in zip(dialogues, answers, strict=True)
        ]


def test_failed_dialogues_are_played_again_and_the_others_kept(tmp_path):
    whole = run_benchmark(agents(), users(), SCENARIOS, tmp_path / "whole", SETTINGS)
    user = FailsOnce(felt(4), felt(6, Decision.ACCEPT))
    rows = run_benchmark(agents(), {"u": lambda: user}, SCENARIOS, tmp_path / "u", SETTINGS)
    assert [(row.n, row.n_invalid, row.error) for row in rows] == [(5, 2, "nothing came back")] * 2
    note = "2 of 7 dialogues of base with u are invalid: nothing came back"
    assert note in benchmark_table(rows, {}).notes
    stored = load_rows(tmp_path / "u")
    assert [row.to_json() for row in stored] == [row.to_json() for row in rows]
    user.down, user.calls = False, []
    again = run_benchmark(agents(), {"u": lambda: user}, SCENARIOS, tmp_path / "u", SETTINGS)
    assert {d.scenario.id for call in user.calls for d in call} == {"leisure-002", "leisure-006"}
    assert [row.to_json() for row in again] == [row.to_json() for row in whole]
    assert load_episodes(tmp_path / "u", "base", "u") == load_episodes(
        tmp_path / "whole", "base", "u"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("timings.json", "[1]"),
        ("results.json", '[{"agent": "base"}]'),
        ("results.json", "3"),
        ("episodes/base--u.jsonl", '{"batch": "0", "rows": [{"dialogue": {}}]}\n'),
        ("episodes/base--u.jsonl", '{"batch": "0", "rows": 3}\n'),
        ("episodes/base--u.jsonl", '{"batch": "0"}\n{"batch": "3"}\n'),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content):
    run_benchmark(agents(), users(), SCENARIOS, tmp_path, SETTINGS)
    (tmp_path / name).write_text(content)
    shown_or_resumed = (
        lambda: load_rows(tmp_path),
        lambda: run_benchmark(agents(), users(), SCENARIOS, tmp_path, SETTINGS),
    )
    with pytest.raises(RunError, match=f"{name} is damaged"):
        [call() for call in shown_or_resumed]


def test_a_batch_of_too_few_dialogues_is_completed(tmp_path):
    whole = run_benchmark(agents(), users(), SCENARIOS, tmp_path, SETTINGS)
    (tmp_path / "episodes" / "base--u.jsonl").write_text('{"batch": "0", "rows": []}\n')
    again = run_benchmark(agents(), users(), SCENARIOS, tmp_path, SETTINGS)
    assert [row.to_json() for row in again] == [row.to_json() for row in whole]


def test_a_pair_without_a_valid_dialogue_is_no_result():
    fine, failed = episodes(felt(4)), episodes(FAILURE)
    require_dialogues([summarize("a", "u", fine, None), summarize("b", "u", [], None)])
    half = summarize("a", "u", fine + failed, None)
    require_dialogues([half])
    with pytest.raises(RunError, match=r"no valid dialogue of:\n  b with u: nothing came back\n"):
        require_dialogues([half, summarize("b", "u", failed, None)])


def test_a_failure_is_stored_in_one_harmless_line():
    error = UserModelError("down at http://ann:s3cret@host/v1:\n\x1b[2J" + 500 * "x")
    (episode, *_) = episodes(error)
    assert episode.error.startswith("down at http://host/v1: [2Jxxx")
    assert len(episode.error) == 300
    assert Episode.from_json(episode.to_json()) == episode
    old = {key: value for key, value in episode.to_json().items() if key != "error"}
    assert Episode.from_json(old).error == ""


def test_the_table_is_also_parquet(tmp_path):
    rows = run_benchmark(agents(), users(), SCENARIOS, tmp_path, SETTINGS)
    table = pd.read_parquet(tmp_path / "results.parquet")
    assert list(table.agent) == ["base", "other"]
    assert table.success_low[0] == rows[0].metrics["success"].low
    assert Row.from_json(rows[0].to_json()).agent == "base"


def test_a_win_rate_names_its_judge_and_counts_what_it_did_not_judge(tmp_path, monkeypatch):
    class Fails:
        def compare(self, pairs):
            return [Verdict.FAILED] + [Verdict.TIE] * (len(pairs) - 1)

    monkeypatch.setattr(summary, "load_judge", lambda spec: Fails())
    settings = replace(SETTINGS, judge="http://me:secret@host/v1#m")
    base, other = run_benchmark(agents(), users(), SCENARIOS, tmp_path, settings)
    assert (other.judge, other.baseline, base.baseline) == ("http://host/v1#m", "base", "")
    assert other.metrics["unjudged"].value == pytest.approx(1 / 7)
    assert other.metrics["win_rate"].value == 0.5
    stored = (tmp_path / "results.json").read_text()
    assert '"judge": "http://host/v1#m"' in stored
    assert "secret" not in stored
    table = benchmark_table([base, other], {})
    assert "against base, judged by http://host/v1#m" in table.markdown()
    assert any("judged by http://host/v1#m" in note for note in table.notes)


def test_rows_stored_before_judges_were_named_can_be_read():
    old = summarize("a", "u", episodes(felt(4)), None).to_json()
    del old["judge"], old["baseline"], old["metrics"]["unjudged"]
    row = Row.from_json(old)
    assert row.judge == "attitude"
    assert len(benchmark_table([row], {}).rows) == 1

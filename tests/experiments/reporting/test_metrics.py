import json
import math

from experiments.reporting.metrics import FILE, live_metrics, read_metrics
from persuade_env.metrics import MetricsLogger, NoMetrics


def test_each_step_is_a_line_and_nan_is_null(tmp_path):
    with live_metrics(tmp_path / "run") as metrics:
        assert isinstance(metrics, MetricsLogger)
        metrics.log("dpo", 1, {"loss": 0.69})
        metrics.log("dpo", 2, {"loss": math.nan})
    lines = (tmp_path / "run" / FILE).read_text().splitlines()
    assert [json.loads(line)["loss"] for line in lines] == [0.69, None]
    assert all(json.loads(line)["stage"] == "dpo" for line in lines)


def test_a_second_run_appends_and_a_torn_line_is_left_out(tmp_path):
    for step in (1, 2):
        with live_metrics(tmp_path) as metrics:
            metrics.log("sft", step, {"loss": 1.0})
    with (tmp_path / FILE).open("a") as file:
        file.write('{"stage": "sf')
    assert [entry["step"] for entry in read_metrics(tmp_path)] == [1, 2]
    assert read_metrics(tmp_path / "nowhere") == []


def test_nothing_is_a_logger_too():
    assert isinstance(NoMetrics(), MetricsLogger)

from dataclasses import replace

from experiments.common.storage import write_json
from experiments.configs.load import load_settings
from experiments.pipeline.forecast import Forecast
from experiments.pipeline.steps import needed_steps


def forecast(settings):
    return Forecast.of(settings, needed_steps(settings))


def test_every_step_has_a_forecast_and_more_work_takes_longer():
    smoke, default, full = (load_settings(name) for name in ("smoke", "default", "full"))
    assert list(forecast(default).steps) == needed_steps(default)
    assert forecast(smoke).minutes < forecast(default).minutes < forecast(full).minutes
    more = replace(default, n_contexts=2 * default.n_contexts)
    longer = forecast(replace(default, max_turns=2 * default.max_turns)).steps
    assert longer["ppo"] == 2 * forecast(default).steps["ppo"]
    assert longer["benchmark"] == 2 * forecast(default).steps["benchmark"]
    assert forecast(more).steps["preferences"] == 2 * forecast(default).steps["preferences"]


def test_what_is_made_is_not_announced_and_corrects_the_rest(tmp_path):
    expected = Forecast({"a": 100.0, "b": 200.0, "c": 300.0})
    assert "a 2, b 3, c 5; 10 in all" in expected.announcement(tmp_path)
    write_json(tmp_path / "a" / "done.json", {"seconds": 260.0})
    assert "b 3, c 5" in expected.announcement(tmp_path)
    # (260 + 60) / (100 + 60) = 2 times as long as forecast.
    assert expected.remaining(tmp_path, "a") == " (about 17 minutes to go)"
    assert expected.remaining(tmp_path, "c") == ""
    assert expected.remaining(tmp_path, "nothing") == ""

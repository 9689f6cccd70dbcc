import tomllib
from dataclasses import replace

import pytest

from experiments.configs.load import (
    from_json,
    load_settings,
    merge,
    parse_override,
    preset_names,
    to_toml,
)
from experiments.configs.schema import RunSettings
from persuade_env.errors import ConfigError, UnknownNameError


def test_the_presets_ship_and_default_is_the_schema_s():
    assert preset_names() == ["default", "full", "smoke"]
    assert load_settings() == RunSettings()
    assert load_settings("smoke").dpo.max_steps == 2


@pytest.mark.parametrize("preset", ["default", "full", "smoke"])
def test_settings_written_down_are_read_back(preset, tmp_path):
    settings = replace(load_settings(preset), max_test_scenarios=None, scenarios="a.jsonl")
    file = tmp_path / "settings.toml"
    file.write_text(to_toml(settings))
    assert load_settings("default", file) == settings
    assert load_settings("smoke", file) == settings


def test_later_ones_win(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('n_contexts = 7\nbase = "x"\n[dpo]\nbeta = 0.3\nrank = 4\n')
    settings = load_settings("smoke", file, ["dpo.beta=0.05", "base=./model"], seed=3)
    assert (settings.n_contexts, settings.base, settings.seed) == (7, "./model", 3)
    assert (settings.dpo.beta, settings.dpo.rank, settings.dpo.max_steps) == (0.05, 4, 2)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("dpo.beta=0.05", {"dpo": {"beta": 0.05}}),
        ("agents=['sft', 'dpo']", {"agents": ["sft", "dpo"]}),
        ("base=org/model-1.5B", {"base": "org/model-1.5B"}),
        ("max_test_scenarios=none", {"max_test_scenarios": "none"}),
    ],
)
def test_a_value_is_toml_or_else_a_text(text, read):
    assert parse_override(text) == read


def test_none_is_for_what_may_be_none():
    assert load_settings(overrides=["max_test_scenarios=none"]).max_test_scenarios is None
    assert (
        load_settings(overrides=["user_model.attitude_model=none"]).user_model.attitude_model
        is None
    )
    with pytest.raises(ConfigError, match="can't be none"):
        load_settings(overrides=["n_contexts=none"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dpo.bata=1", "no setting 'dpo.bata'; did you mean dpo.beta?"),
        ("n_context=1", "did you mean n_contexts?"),
        ("zzz=1", "there are base, seed"),
        ('dpo.beta="much"', "valid number"),
        ("seed=1.5", "valid integer"),
        ("agents=sft", "valid tuple|valid list|array"),
        ("seed.x=1", "single value"),
        ("ppo.seed=1", "every step takes the run's seed"),
        ("sft.lora.seed=1", "every step takes the run's seed"),
        ("dpo", "write name=value"),
        ("=3", "write name=value"),
    ],
)
def test_a_mistake_names_the_setting(override, message):
    with pytest.raises(ConfigError, match=message):
        load_settings(overrides=[override])


def test_files_that_can_t_be_read(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_settings("default", tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("n_contexts = \n")
    with pytest.raises(ConfigError, match=r"broken\.toml.*line 1"):
        load_settings("default", broken)
    with pytest.raises(UnknownNameError, match="default, full, smoke"):
        load_settings("huge")


def test_names_of_before_are_understood():
    assert from_json({"against": "concerns", "card_scenarios": 3}, "old run") == replace(
        RunSettings(), train_user="concerns", fidelity_scenarios=3
    )


def test_a_list_of_pairs_becomes_the_tuple_that_the_schema_wants():
    settings = merge(RunSettings(), tomllib.loads('reward = [["words", 0.5]]'), "x")
    assert settings.reward == (("words", 0.5),)


@pytest.mark.parametrize("part", ["ppo", "grpo", "benchmark"])
def test_turns_and_reward_are_one_setting_for_all(part):
    default = getattr(RunSettings(), part)
    assert (default.max_turns, dict(default.reward)["attitude_gain"]) == (6, 6.0)
    changed = getattr(load_settings(overrides=["max_turns=4", 'reward=[["words", 1.0]]']), part)
    assert (changed.max_turns, changed.reward) == (4, (("words", 1.0),))
    with pytest.raises(ConfigError, match=rf"{part}.max_turns can't differ: set max_turns, which"):
        load_settings(overrides=[f"{part}.max_turns=3"])
    with pytest.raises(ConfigError, match=rf"old: {part}.max_turns"):
        from_json({part: {"max_turns": 3}}, "old")
    with pytest.raises(ConfigError, match=rf"{part}.reward can't differ"):
        load_settings(overrides=[f'{part}.reward=[["words", 1.0]]'])
    same = {"max_turns": 3, "reward": [["words", 1]]}
    assert getattr(from_json({**same, part: same}, "new"), part).max_turns == 3

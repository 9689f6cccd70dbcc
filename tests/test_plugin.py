"""A third party adds one thing of each kind by installing a package, with no edit of the suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs a command from an empty folder, with the plug-in installed."""
    source = tmp_path_factory.mktemp("source")
    for path in PLUGIN.glob("*.*"):
        (source / path.name).write_bytes(path.read_bytes())
    site = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    install += ["--no-build-isolation", "--disable-pip-version-check", "--target", str(site)]
    subprocess.run([*install, str(source)], check=True, capture_output=True)
    empty = tmp_path_factory.mktemp("empty")
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(site))))

    def run(*command):
        done = subprocess.run(
            command,
            cwd=empty,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


def python(run, code):
    return run(sys.executable, "-c", code).strip()


def test_the_installed_command_plays_its_persuader_user_and_judge(run, tmp_path):
    persuade = str(Path(sys.executable).parent / "persuade")
    command = [persuade, "benchmark", "--agents", "polite,naive", "--user-models", "agreeable"]
    command += ["--judge", "first-wins", "--baseline", "naive", "--max-turns", "2"]
    run(*command, "--out", str(tmp_path / "b"))
    rows = json.loads((tmp_path / "b" / "results.json").read_text())
    assert {(row["agent"], row["user_model"]) for row in rows} == {
        ("polite", "agreeable"),
        ("naive", "agreeable"),
    }
    assert {row["metrics"]["attitude_gain"]["value"] for row in rows} == {1.0}
    # Whoever stands first wins, and both orders are asked.
    won = {row["agent"]: row["metrics"]["win_rate"]["value"] for row in rows}
    assert won["polite"] == 0.5
    assert {row["judge"] for row in rows} == {"first-wins"}


def test_a_table_gives_a_user_model_its_options(run):
    code = (
        "import gymnasium as gym, persuade_env; "
        "user = {'type': 'agreeable', 'step': 2.0}; "
        "env = gym.make('persuade_env/Persuasion-v1', user_model=user, disable_env_checker=True); "
        "_, before = env.reset(seed=0); *_, after = env.step('Hello.'); "
        "print(round(after['attitude'] - before['attitude'], 3))"
    )
    assert python(run, code) == "2.0"


def test_its_reward_term_is_weighted_by_name(run):
    code = (
        "import gymnasium as gym, persuade_env; "
        "reward = {'attitude_gain': 1.0, 'politeness': 0.25}; "
        "env = gym.make('persuade_env/Persuasion-v1', reward=reward, disable_env_checker=True); "
        "env.reset(seed=0); *_, info = env.step('Please do it.'); "
        "print(info['reward_terms']['politeness'])"
    )
    assert python(run, code) == "0.25"


def test_its_chat_backend_speaks_for_a_prompted_user(run):
    code = (
        "from persuade_env.registry import load_user_model; "
        "chat = {'type': 'echo', 'text': '4 continue polite\\nHello there.'}; "
        "user = load_user_model({'type': 'prompted', 'model': chat}); "
        "print(user.chat.text.split(chr(10))[1])"
    )
    assert python(run, code) == "Hello there."

"""What README and docs say runs: blocks are run, and commands that need more are parsed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from markdown_it import MarkdownIt

from experiments.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    *(
        path
        for path in sorted((ROOT / "docs").rglob("*.md"))
        # Records of what was measured, with the commands and the words of their time.
        if path.parent.name != "results" and path.name != "cli.md"
    ),
]
RUN = ("python", "bash")
READ = ("python notest", "console", "toml", "json", "ini", "text", "bibtex", "yaml", "")
"""Fences that are not run: a sentence beside `python notest` says why, `console` needs a trained
run, a server or minutes."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks() -> list[Block]:
    """Every fenced block of every page."""
    return [
        Block(page, token.map[0] + 1, token.info.strip(), token.content)
        for page in PAGES
        for token in MarkdownIt().parse(page.read_text(encoding="utf-8"))
        if token.type == "fence"
    ]


BLOCKS = blocks()


def test_every_block_says_what_it_is():
    unknown = {str(block): block.language for block in BLOCKS if block.language not in RUN + READ}
    assert not unknown


def of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_a_python_block_runs_in_an_empty_folder(block, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", block.text],
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("block", of("bash"), ids=str)
def test_a_bash_block_runs_in_an_empty_folder(block, tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]


def commands() -> list[tuple[str, list[str]]]:
    """Every `persuade …` line of every block, as words."""
    lines = []
    for block in BLOCKS:
        if block.language in ("", "console", "bash"):
            text = block.text.replace("\\\n", " ")
            for line in text.splitlines():
                found = re.match(r"\s*(?:\$ )?persuade (.*)$", line)
                if found:
                    words = shlex.split(found[1], comments=True)
                    lines.append((f"{block}: {line.strip()}", words))
    return lines


@pytest.mark.parametrize(("where", "words"), commands(), ids=lambda value: str(value)[:60])
def test_a_command_that_is_shown_exists_with_its_options(where, words):
    command = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        if words[0].startswith("-"):
            break
        assert words[0] in command.commands, where
        command, words = command.commands[words[0]], words[1:]
    known = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help", "--version", "--install-completion", "--show-completion"}
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in known, f"{where}: {word}"


def test_pages_made_from_the_code_are_as_the_code_is():
    made = subprocess.run(
        [
            sys.executable,
            "-m",
            "typer",
            "experiments.cli.main",
            "utils",
            "docs",
            "--name",
            "persuade",
            "--title",
            "Command line",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    stored = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert made.strip() == stored.strip(), "make docs-pages writes it anew"
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        copy = (ROOT / "docs" / name.lower()).read_text(encoding="utf-8")
        assert copy == (ROOT / name).read_text(encoding="utf-8"), "make docs-pages copies it"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 750


@pytest.mark.parametrize(
    "script", sorted((ROOT / "docs" / "examples").glob("*.py")), ids=lambda path: path.stem
)
@pytest.mark.slow
def test_an_example_runs_in_an_empty_folder(script, tmp_path):
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()

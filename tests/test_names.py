"""The field's words, and none of the private ones that stood here before."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("persuade_env", "user_models", "agents", "experiments")

FORMER = frozenset(
    """
    Mind MindSettings MindRow MindUser mind minded mindless read_mind fit_mind Ear ear hear
    heard heard_words heard_messages HeardTurn Senses Sense senses Meaning Common Coherence
    Reading coherence coherent fit_coherence craft craft_weights craft_intercept pulls PULLS
    CASE heeded displeasure hearing_weights hearing_intercept touchiness PATIENCE SILENCE DEPTH
    surer stretch_to stretched fruitless_rows fruitless_share fruitless_step own_words OwnWords
    read_own_words write_own_words update_kept drafts mirror Reflection reflections lean attacks
    Followed followed ForcedReply forced_replies without_words wordless CardPart Card card cards
    CARD write_card read_card bar bars Beside beside yardstick yardsticks agent_in user_model_in
    check_user user_stages_of stage_work against say forget_models conduct_by_turn MEANING _Held
    held holds particulars plain follows inert World Walk walk_on SimulatedContext Scored joined
    passages Reciter judge_truth chat_from_spec load_agent load_learned ConcernsUser
    PopulationUser
    """.split()  # noqa: SIM905 - a list of a hundred strings is no better to read
)
"""Names of the table in the layout plan; ordinary words such as found or one are not in it."""

ALLOWED = frozenset(
    {
        # What a console or a terminal draws is called that everywhere.
        ("experiments/common/progress.py", "bar"),
        ("experiments/pipeline/make.py", "bar"),
        ("experiments/cli/fidelity.py", "bar"),
        # matplotlib's method.
        ("experiments/common/measures.py", "bar"),
    }
)
"""File and name, each with its reason."""


def names_in(path: Path) -> Iterator[str]:
    """Every identifier of a file: names, attributes, arguments, keywords, definitions, imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.arg) or (isinstance(node, ast.keyword) and node.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield from (node.name.rpartition(".")[2], node.asname or "")


def files() -> Iterator[Path]:
    """The modules of the four packages."""
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def test_no_former_name_is_left():
    left = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in files()
        for name in names_in(path)
        if name in FORMER
    }
    assert not left - ALLOWED


def test_no_former_word_is_left_in_the_prose_either():
    words = re.compile(
        r"\b(ear|heeded|patience|fruitless|inert|particulars|own_words)\b", re.IGNORECASE
    )
    lines = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if words.search(line)
    ]
    assert not lines

import csv
import io
import json

import pytest
from rich.console import Console

from experiments.common.table import Column, DataTable
from persuade_env.errors import UnknownNameError

TABLE = DataTable(
    (Column("agent", left=True), Column("gain", rank=1), Column("a|b, c", rank=2)),
    (("sft", "0.10 [-0.03, 0.25]", "1"), ("[red]dpo", "-0.01 [-0.13, 0.11]", "x|y")),
    ("95 % intervals",),
    ("u", "v"),
)


def printed(width, **options):
    console = Console(file=io.StringIO(), width=width)
    TABLE.print(console, **options)
    return console.file.getvalue()


def test_what_has_no_room_is_left_out_and_said():
    narrow = printed(34)
    assert "gain" in narrow
    assert "left out: a|b, c" in " ".join(narrow.split())
    assert max(map(len, narrow.splitlines())) <= 34
    assert "left out: gain, a|b, c" in " ".join(printed(16).split())
    assert "left out" not in printed(80)


def test_wide_is_everything_at_any_width():
    text = printed(20, wide=True)
    assert "0.10 [-0.03, 0.25]" in text
    assert "x|y" in text
    assert "left out" not in text


def test_text_is_no_markup():
    assert "[red]dpo" in printed(80)


def test_other_formats_hold_every_cell():
    markdown = printed(20, format="markdown")
    assert "| sft | 0.10 [-0.03, 0.25] | 1 |" in markdown
    assert "x\\|y" in markdown
    rows = list(csv.reader(io.StringIO(printed(20, format="csv"))))
    assert rows[0] == ["agent", "gain", "a|b, c"]
    assert rows[2] == ["[red]dpo", "-0.01 [-0.13, 0.11]", "x|y"]
    assert json.loads(printed(20, format="json"))[1]["agent"] == "[red]dpo"
    with pytest.raises(UnknownNameError, match="markdown"):
        printed(80, format="latex")

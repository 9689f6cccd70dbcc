"""Tables for people and for programs: fitted to a terminal, Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from persuade_env.errors import UnknownNameError
from persuade_env.text.normalize import printable

_VERY_WIDE = 10_000

FORMATS = ("table", "markdown", "csv", "json")
"""What `--format` takes."""


def check_format(name: str) -> None:
    """Checks the name of a format, before work is done for a table that can't be shown.

    Raises:
        UnknownNameError: if there is no such format.
    """
    if name not in FORMATS:
        raise UnknownNameError("format", name, FORMATS)


@dataclass(frozen=True)
class Column:
    """One column: its heading, and how much it matters."""

    heading: str
    rank: int = 0
    """Where there is no room, columns of the highest rank are left out first; 0 never is."""
    left: bool = False
    """Aligned to the left, as text is; numbers to the right."""


@dataclass(frozen=True)
class DataTable:
    """Rows of text under columns.

    >>> table = DataTable((Column("agent", left=True), Column("n", rank=1)), (("sft", "14"),))
    >>> print(table.markdown(), end="")
    | agent | n |
    |---|---:|
    | sft | 14 |
    >>> print(table.csv(), end="")
    agent,n
    sft,14
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    """Sentences below the table."""
    groups: Sequence[str] = ()
    """For each row what it belongs to; a line is drawn where it changes."""
    title: str = ""

    def fitting(self, width: int) -> list[int]:
        """Indices of the columns that fit into so many characters, the important ones first."""
        widths = [
            max(cell_len(text) for text in (column.heading, *(row[index] for row in self.rows)))
            for index, column in enumerate(self.columns)
        ]
        kept = list(range(len(self.columns)))
        while _total(widths, kept) > width:
            least = max(kept, key=lambda index: (self.columns[index].rank, index))
            if self.columns[least].rank == 0:
                break
            kept.remove(least)
        return kept

    def terminal(self, width: int, *, wide: bool = False) -> Table:
        """For a terminal of a width: the columns that fit, or with `wide` all."""
        kept = list(range(len(self.columns))) if wide else self.fitting(width)
        table = Table(
            title=escape(printable(self.title)) or None,
            title_justify="left",
            box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        for index in kept:
            column = self.columns[index]
            table.add_column(
                escape(column.heading), justify="left" if column.left else "right", no_wrap=True
            )
        for number, row in enumerate(self.rows):
            if number and self.groups and self.groups[number] != self.groups[number - 1]:
                table.add_section()
            table.add_row(*(escape(printable(row[index])) for index in kept))
        return table

    def _left_out(self, width: int) -> list[str]:
        kept = self.fitting(width)
        names = [column.heading for index, column in enumerate(self.columns) if index not in kept]
        if not names:
            return []
        return [f"left out: {', '.join(names)} (--wide, or --format markdown|csv|json)"]

    def markdown(self) -> str:
        """For a document; a pipe in a cell is escaped."""
        lines = [
            [column.heading for column in self.columns],
            *self.rows,
        ]
        lines = [
            [" ".join(printable(cell).replace("|", "\\|").split()) for cell in line]
            for line in lines
        ]
        rule = "".join("|---" if column.left else "|---:" for column in self.columns) + "|"
        rows = [f"| {' | '.join(line)} |" for line in lines]
        text = "\n".join([rows[0], rule, *rows[1:]]) + "\n"
        return text + ("\n" + printable("\n".join(self.notes)) + "\n" if self.notes else "")

    def csv(self) -> str:
        """For a spreadsheet."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow([column.heading for column in self.columns])
        writer.writerows(self.rows)
        return buffer.getvalue()

    def json(self) -> str:
        """For a program: a list of objects, heading to text."""
        names = [column.heading for column in self.columns]
        return json.dumps(
            [dict(zip(names, row, strict=True)) for row in self.rows], ensure_ascii=False, indent=1
        )

    def print(self, console: Console, format: str = "table", *, wide: bool = False) -> None:
        """Writes the table to a console.

        Raises:
            UnknownNameError: if there is no such format.
        """
        check_format(format)
        if format == "table":
            if wide:  # a console cuts what is wider than itself
                console = Console(file=console.file, width=_VERY_WIDE)
            console.print(self.terminal(console.width, wide=wide))
            for note in (*self.notes, *([] if wide else self._left_out(console.width))):
                console.print(printable(note), markup=False, highlight=False)
            return
        text = {"markdown": self.markdown, "csv": self.csv, "json": self.json}[format]()
        console.file.write(text.rstrip("\n") + "\n")  # as it is: a console would style it


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    """Characters of a line: each column, and a space and a rule's end beside it."""
    return sum(widths[index] + 2 for index in kept) + 1

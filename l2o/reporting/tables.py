"""Tables: written as Markdown and CSV, printed to the terminal."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table as RichTable

from l2o.io.files import replace_file
from l2o.reporting.console import console

Format = Callable[[Any], str]
SHARES = ("sr1", "sr2", "diverged", "fallback")
"""Numbers that are shares, and are told in %."""
PIPED_WIDTH = 160
"""Of a table that is not printed to a terminal."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: Its name.
        format: Makes the text of a value; a column of numbers stands on the right.
    """

    heading: str
    format: Format = str

    def text(self, value: Any) -> str:
        """The text of a value, empty if there is none."""
        return "" if value is None else self.format(value)

    @property
    def right(self) -> bool:
        """Whether it holds numbers."""
        return self.format is not str


@dataclass(frozen=True)
class Table:
    """Rows of values, each column with its own format.

    Attributes:
        columns: Headings and formats.
        rows: A value for each column, None where there is none.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]

    @property
    def cells(self) -> list[list[str]]:
        """The texts of all rows."""
        return [
            [column.text(value) for column, value in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]

    def markdown(self) -> str:
        """The table as Markdown, without an end of line."""
        rule = "".join("|---:" if column.right else "|---" for column in self.columns) + "|"
        headings, *rows = (
            "| " + " | ".join(text.replace("|", "\\|") for text in row) + " |"
            for row in [[column.heading for column in self.columns], *self.cells]
        )
        return "\n".join([headings, rule, *rows])

    def csv(self, path: Path) -> None:
        """Writes the values as they are, in full precision."""
        file = io.StringIO()
        writer = csv.writer(file)
        writer.writerow([column.heading for column in self.columns])
        writer.writerows(self.rows)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, file.getvalue().encode())

    def print(self, title: str, bold: Sequence[bool] = ()) -> None:
        """Prints the table.

        Args:
            title: What stands above it.
            bold: Which rows stand out; all others, and those beyond, do not.
        """
        table = RichTable(title=title, title_justify="left", box=None, padding=(0, 1))
        table.show_header = any(column.heading for column in self.columns)
        for column in self.columns:
            table.add_column(
                column.heading,
                justify="right" if column.right else "left",
                overflow="fold",
                no_wrap=column.right,
            )
        for place, row in enumerate(self.cells):
            style = "bold" if place < len(bold) and bold[place] else None
            table.add_row(*row, style=style)
        console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


def percent(digits: int) -> Format:
    """The format of a share, in % with so many decimal places."""
    return lambda share: f"{100 * share:.{digits}f} %"


def calls(count: float) -> str:
    """Oracle calls to a distance; a dash if it is not reached."""
    return f"{count:g}" if math.isfinite(count) else "—"


def format_of(name: str, digits: int = 2) -> Format:
    """The format of a number of results.

    Args:
        name: Of the number, as in `metrics.json` or `table.csv`.
        digits: Decimal places of shares and seconds.
    """
    if name in SHARES:
        return percent(digits)
    if name.startswith("calls"):
        return calls
    if name == "memory":
        return "{:.1f}".format
    if name.endswith("_s"):
        return f"{{:.{digits}f}}".format
    return "{:.1e}".format if name.startswith(("distance", "gradient_norm")) else "{:.3g}".format

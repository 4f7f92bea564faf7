"""Tables as Markdown, CSV and on the terminal."""

import csv
import math
from pathlib import Path

import pytest

from l2o.reporting.tables import Column, Table, format_of

TABLE = Table(
    [
        Column("name"),
        Column("share", format_of("sr1")),
        Column("calls", format_of("calls_to_1e-06")),
    ],
    [["a|b", 0.9995, 12.5], ["[bold]c", None, math.inf]],
)


def test_markdown_by_hand() -> None:
    """Numbers stand on the right; a bar in a cell is not one between cells."""
    assert TABLE.markdown().splitlines() == [
        "| name | share | calls |",
        "|---|---:|---:|",
        "| a\\|b | 99.95 % | 12.5 |",
        "| [bold]c |  | — |",
    ]


def test_csv_keeps_every_digit(tmp_path: Path) -> None:
    numbers = [1 / 3, 1e-300, math.inf, None]
    Table([Column("x", "{:.1f}".format)], [[x] for x in numbers]).csv(tmp_path / "new" / "t.csv")
    rows = list(csv.reader((tmp_path / "new" / "t.csv").open()))
    assert rows[0] == ["x"]
    assert [float(x) if x else None for (x,) in rows[1:]] == numbers


def test_brackets_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    TABLE.print("in [red] brackets")
    title, heads, *rows = capsys.readouterr().out.splitlines()
    assert title.strip() == "in [red] brackets"
    assert heads.split() == ["name", "share", "calls"]
    assert [row.split() for row in rows] == [["a|b", "99.95", "%", "12.5"], ["[bold]c", "—"]]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("sr2", 0.12345, "12.35 %"),
        ("calls_to_1e-02", 12.0, "12"),
        ("calls_to_1e-02", math.inf, "—"),
        ("calls_per_iteration", 2.0, "2"),
        ("memory", 50.52, "50.5"),
        ("test_s", 1.234, "1.23"),
        ("distance_100", 0.00123, "1.2e-03"),
        ("distance_100", math.inf, "inf"),
    ],
)
def test_formats_by_name(name: str, value: float, text: str) -> None:
    assert format_of(name)(value) == text

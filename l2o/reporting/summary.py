"""Many training runs in one table and one plot."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from l2o.io.files import replace_file
from l2o.io.settings import TARGET
from l2o.reporting.failures import spared
from l2o.reporting.runs import NUMBERS, RunSummary, differing
from l2o.reporting.summary_plot import plot_summary
from l2o.reporting.tables import Column, Table, percent

HEADINGS = {
    "val/score": Column("score", "{:.3g}".format),
    "test/sr1": Column("SR1", percent(2)),
    "test/sr2": Column("SR2", percent(2)),
    "test/distance_median": Column("distance", "{:.3g}".format),
}
"""How the numbers are told."""


def write_summary(runs: Sequence[RunSummary], directory: Path) -> None:
    """Writes `summary.csv`, `summary.md` and `summary.png`."""
    columns = differing(runs)
    headings = [Column(heading) for heading in (*columns, *NUMBERS, "state", "directory", "note")]
    rows = []
    for place, run in enumerate(runs):
        settings = [values[place] for values in columns.values()]
        numbers = [run.numbers.get(key) for key in NUMBERS]
        rows.append([*settings, *numbers, run.state, run.directory, run.note])
    Table(headings, rows).csv(directory / "summary.csv")
    replace_file(directory / "summary.md", f"{_table(runs).markdown()}\n".encode())
    short = {name: values for name, values in _short(columns).items() if name != "seed"}
    labels = [
        ", ".join(f"{name}={values[place]}" for name, values in short.items())
        for place in range(len(runs))
    ]
    if any("val/score" in run.numbers for run in runs):
        plot_summary(directory / "summary.png", labels, [run.numbers for run in runs])


@spared("table")
def print_summary(runs: Sequence[RunSummary], directory: Path) -> None:
    """Prints the table, the lowest validation score first, and where it was written."""
    states = [run.state for run in runs]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    _table(runs).print(f"{len(runs)} runs: {counts}")
    print(f"runs in {_common(runs)}")
    print(f"summary in {directory}")


def _common(runs: Sequence[RunSummary]) -> str:
    """The directory that all runs lie in."""
    return os.path.commonpath([run.directory.absolute().parent for run in runs])


def _table(runs: Sequence[RunSummary]) -> Table:
    """The table to read."""
    columns = _short(differing(runs))
    told = [key for key in NUMBERS if any(key in run.numbers for run in runs)]
    rows = []
    for place, run in enumerate(runs):
        where = os.path.relpath(run.directory, _common(runs))
        state = f"{run.state}: {run.note}" if run.note else run.state
        numbers = [run.numbers.get(key) for key in told]
        rows.append([where, *(values[place] for values in columns.values()), *numbers, state])
    words = [Column(heading) for heading in ("directory", *columns)]
    return Table([*words, *(HEADINGS[key] for key in told), Column("state")], rows)


def _short(columns: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Columns under the last part of their names, where no two share it."""
    names = [name.removesuffix(f".{TARGET}") for name in columns]
    ends = [name.rpartition(".")[2] for name in names]
    short = [end if ends.count(end) == 1 else n for n, end in zip(names, ends, strict=True)]
    return dict(zip(short, columns.values(), strict=True))

"""Many training runs in one table and one plot: what became of each, and what sets them apart."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from l2o.io.directory import FAILURE, PRUNED, in_use
from l2o.io.errors import UserError
from l2o.io.files import replace_file
from l2o.io.settings import TARGET, flat
from l2o.reporting.console import console
from l2o.reporting.report import SHARES
from l2o.reporting.summary_plot import plot_summary

HEADINGS = {
    "val/score": "score",
    "test/sr1": "SR1",
    "test/sr2": "SR2",
    "test/distance_median": "distance",
}
"""The numbers that are told: the validation score, and of the test the median distance."""
UNTOLD = ("run_dir", "resume", "logger", "checkpoint_seconds", "trust_classes", "pruning")
"""Settings that do not change what is learned."""
TRAINING = {"protocol", "variant", "reward"}
"""Settings by which a training run is known among others."""
PIPED_WIDTH = 160
"""Of a table that is not printed to a terminal."""


@dataclass(frozen=True)
class RunSummary:
    """What became of one run.

    Attributes:
        directory: Of the run.
        settings: All of them, with dotted names.
        state: `finished`, `pruned`, `failed`, `running`, or `stopped` and to be gone on with.
        numbers: Those of `HEADINGS` that it has.
        note: Why it failed.
    """

    directory: Path
    settings: dict[str, Any]
    state: str
    numbers: dict[str, float]
    note: str = ""

    @classmethod
    def of(cls, directory: Path) -> RunSummary | None:
        """The training run in a directory; None if there is none, or its files are damaged."""
        failure, pruned = _read(directory / FAILURE), _read(directory / PRUNED)
        settings = _read(directory / "config.yaml") or failure.get("settings")
        if not isinstance(settings, dict) or not set(settings) >= TRAINING:
            return None
        settings = flat(settings)
        metrics = _read(directory / "metrics.json")
        if metrics:
            return cls(directory, settings, "finished", _numbers(metrics))
        if in_use(directory):
            return cls(directory, settings, "running", {})
        if failure:
            return cls(directory, settings, "failed", {}, str(failure.get("error", "")))
        if pruned:
            return cls(directory, settings, "pruned", _numbers(pruned))
        return cls(directory, settings, "stopped", {})

    @property
    def rank(self) -> tuple[float, str, str]:
        """The lowest score first, those without one last."""
        score = self.numbers.get("val/score", math.inf)
        return (score, self.state, str(self.directory))


def summarize(config: Mapping[str, Any]) -> list[RunSummary]:
    """Collects the runs below `directories`, writes their summary into `run_dir` and prints it.

    Args:
        config: A composed config of `conf/summarize.yaml`.

    Returns:
        The runs, the lowest validation score first.

    Raises:
        UserError: If a directory does not exist, or there is no run in any.
    """
    directories = config["directories"]
    if not isinstance(directories, list) or not directories:
        raise UserError(f"directories: expected a list of directories, got {directories!r}")
    roots = [Path(str(directory)) for directory in directories]
    for root in roots:
        if not root.is_dir():
            raise UserError(f"directories: {root}: no such directory")
    runs = collect(roots)
    if not runs:
        raise UserError(
            f"directories: expected training runs below {', '.join(map(str, roots))}, found none"
        )
    directory = Path(config["run_dir"])
    write_summary(runs, directory)
    print_summary(runs, directory)
    return runs


def run_directories(root: Path) -> Iterator[Path]:
    """The directories of all runs below a directory, or itself if it is one."""
    for folder, below, files in os.walk(root):
        below.sort()
        if FAILURE in files or "config.yaml" in files:
            below.clear()
            yield Path(folder)


def collect(roots: Iterable[Path]) -> list[RunSummary]:
    """All training runs below some directories, the lowest validation score first."""
    directories = dict.fromkeys(path for root in roots for path in run_directories(root))
    found = [RunSummary.of(directory) for directory in directories]
    return sorted((run for run in found if run is not None), key=lambda run: run.rank)


def differing(runs: Sequence[RunSummary]) -> dict[str, list[str]]:
    """The settings that set runs apart, each with its value in every run.

    Left out is what follows from others: equal values, as of a setting that refers to another,
    and what the class of its section alone decides.
    """
    names = dict.fromkeys(name for run in runs for name in run.settings)
    columns: dict[str, list[str]] = {}
    # `seed` before `variant.seed`, which refers to it.
    for name in sorted(names, key=lambda name: name.count(".")):
        values = [_text(name, run.settings.get(name)) for run in runs]
        if name.split(".")[0] in UNTOLD or len(set(values)) == 1 or values in columns.values():
            continue
        classes = columns.get(f"{name.split('.')[0]}.{TARGET}")
        if classes and len(set(zip(classes, values, strict=True))) == len(set(classes)):
            continue
        columns[name] = values
    return columns


def write_summary(runs: Sequence[RunSummary], directory: Path) -> None:
    """Writes `summary.csv`, `summary.md` and `summary.png`."""
    columns = differing(runs)
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow([*columns, *HEADINGS, "state", "directory", "note"])
    for place, run in enumerate(runs):
        settings = [values[place] for values in columns.values()]
        numbers = [run.numbers.get(key) for key in HEADINGS]
        writer.writerow([*settings, *numbers, run.state, run.directory, run.note])
    replace_file(directory / "summary.csv", table.getvalue().encode(errors="surrogateescape"))
    headings, rows = _cells(runs)
    lines = [headings, ["---"] * len(headings), *rows]
    text = "".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |\n" for row in lines)
    replace_file(directory / "summary.md", text.encode(errors="surrogateescape"))
    labels = [
        ", ".join(
            f"{short}={values[place]}" for short, values in _short(columns) if short != "seed"
        )
        for place in range(len(runs))
    ]
    plot_summary(labels, [run.numbers for run in runs], directory / "summary.png")


def print_summary(runs: Sequence[RunSummary], directory: Path) -> None:
    """Prints the table, the lowest validation score first, and where it was written."""
    out = console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    headings, rows = _cells(runs)
    table = Table(title=_title(runs), title_justify="left", box=None, padding=(0, 1))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)
    for line in (f"runs in {_common(runs)}", f"summary in {directory}"):
        out.print(line, soft_wrap=True)


def _title(runs: Sequence[RunSummary]) -> str:
    states = [run.state for run in runs]
    counts = {state: states.count(state) for state in sorted(set(states))}
    return f"{len(runs)} runs: " + ", ".join(f"{count} {state}" for state, count in counts.items())


def _common(runs: Sequence[RunSummary]) -> str:
    """The directory that all runs lie in."""
    return os.path.commonpath([run.directory.absolute().parent for run in runs])


def _cells(runs: Sequence[RunSummary]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the table to read."""
    columns = differing(runs)
    told = [key for key in HEADINGS if any(key in run.numbers for run in runs)]
    short = [heading for heading, _ in _short(columns)]
    headings = ["directory", *short, *(HEADINGS[key] for key in told), "state"]
    rows = []
    for place, run in enumerate(runs):
        where = os.path.relpath(run.directory, _common(runs))
        state = f"{run.state}: {run.note}" if run.note else run.state
        numbers = [_number(key, run.numbers.get(key)) for key in told]
        rows.append([where, *(v[place] for v in columns.values()), *numbers, state])
    return headings, rows


def _short(columns: Mapping[str, list[str]]) -> list[tuple[str, list[str]]]:
    """Columns under the last part of their names, where no two share it."""
    names = [name.removesuffix(f".{TARGET}") for name in columns]
    ends = [name.rpartition(".")[2] for name in names]
    short = [end if ends.count(end) == 1 else n for n, end in zip(names, ends, strict=True)]
    return list(zip(short, columns.values(), strict=True))


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name.endswith(TARGET):
        return str(value).rpartition(".")[2]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _number(key: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2%}" if key.rpartition("/")[2] in SHARES else f"{value:.3g}"


def _numbers(found: Mapping[str, Any]) -> dict[str, float]:
    """Those of the numbers that are told; a file may hold anything in their place."""
    return {key: float(found[key]) for key in HEADINGS if isinstance(found.get(key), int | float)}


def _read(path: Path) -> dict[str, Any]:
    """A file of settings or results; empty if it is missing, damaged or something else."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}

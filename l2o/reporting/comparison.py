"""The results of a comparison as tables to read and plots to look at.

Axes: T iterations, B trajectories.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from l2o.evaluation.comparison import BUDGETS, THRESHOLDS, Result
from l2o.evaluation.tuning import Score, Tuning
from l2o.reporting.comparison_plots import plot_comparison
from l2o.reporting.console import console
from l2o.reporting.front import plot_front
from l2o.reporting.report import SHARES


def write_comparison(
    results: Sequence[Result], refused: Mapping[str, str], directory: Path, title: str
) -> None:
    """Writes `table.csv`, `table.md` and the plots, best first.

    Args:
        results: Of every optimizer that was run.
        refused: Why others were not.
        directory: Of the comparison.
        title: What was run.
    """
    ranked = _ranked(results)
    rows = [{"optimizer": r.name, "settings": r.settings, **r.numbers} for r in ranked]
    with (directory / "table.csv").open("w", newline="", encoding="utf-8") as file:
        headings = ["optimizer", "settings", *_columns(ranked)]
        writer = csv.DictWriter(file, fieldnames=headings)
        writer.writeheader()
        writer.writerows(rows)
    (directory / "table.md").write_text(_markdown(ranked, refused, title), encoding="utf-8")
    plot_front(ranked, directory / "plots" / "front.png", title)
    for axis in ("iterations", "oracle_calls"):
        plot_comparison(ranked, axis, directory / "plots" / f"{axis}.png", title)


def write_tuning(name: str, tuning: Tuning, directory: Path) -> None:
    """Writes `tuning/<name>.csv`: every point of the grid with its scores, best first."""
    path = directory / "tuning" / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    ordered = sorted(tuning.scores.items(), key=lambda item: item[1].rank)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*tuning.names, *Score._fields])
        writer.writerows([*point, *score] for point, score in ordered)


def print_comparison(
    results: Sequence[Result], refused: Mapping[str, str], directory: Path, title: str
) -> None:
    """Prints the table, best first, and where the results were written."""
    ranked = _ranked(results)
    shown = _shown(ranked)
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
    table.add_column("optimizer", no_wrap=True)
    for key in shown:
        heading = key.replace("calls_to_1e-0", "to 1e-")
        heading = heading.partition("_after_")[2].replace("_calls", " calls") or heading
        table.add_column(heading, justify="right", no_wrap=True)
    for r in ranked:
        cells = [_cell(key, r.numbers.get(key)) for key in shown]
        table.add_row(r.name, *cells, style="bold" if r.learned else None)
    out = console()
    out.print(table)
    if any(key.startswith("calls_to") for key in shown):
        out.print("to 1e-2, …: oracle calls to that distance, median; —: not reached by half")
    else:
        out.print("100 calls, …: median distance after so many oracle calls")
    for name, reason in refused.items():
        out.print(f"not run: {name}. {reason}", soft_wrap=True)
    out.print(f"results in {directory}", soft_wrap=True)


def _shown(results: Sequence[Result]) -> list[str]:
    """What of the table is printed: calls to distances or, where none gets there, distances."""
    columns = _columns(results)
    told = [f"calls_to_{threshold:.0e}" for threshold in THRESHOLDS]
    after = [f"{results[0].quantity}_after_{budget}_calls" for budget in BUDGETS]
    if after[0] in columns and not any(math.isfinite(r.numbers[told[-1]]) for r in results):
        told = after
    return [key for key in (*SHARES, *told) if key in columns]


def _ranked(results: Iterable[Result]) -> list[Result]:
    """By success first, then by the oracle calls to 1e-6, 1e-4, 1e-2, then by distance."""

    def rank(result: Result) -> list[float]:
        numbers = result.numbers
        calls = [numbers[f"calls_to_{threshold:.0e}"] for threshold in reversed(THRESHOLDS)]
        return [-numbers.get("sr1", 0.0), *calls, result.medians[2, -1].item()]

    return sorted(results, key=rank)


def _columns(results: Iterable[Result]) -> list[str]:
    """Every number that some optimizer has; not all have counts of their own."""
    # Those with most numbers first, so that what others lack keeps its place.
    fullest = sorted(results, key=lambda result: -len(result.numbers))
    return list(dict.fromkeys(key for result in fullest for key in result.numbers))


def _markdown(ranked: Sequence[Result], refused: Mapping[str, str], title: str) -> str:
    columns = _columns(ranked)
    headings = ["optimizer", "settings", *columns]
    lines = [
        f"# {title}",
        "",
        "| " + " | ".join(heading.replace("_", " ") for heading in headings) + " |",
        "|---|---|" + "---:|" * (len(headings) - 2),
    ]
    for r in ranked:
        cells = [_cell(key, r.numbers.get(key)) for key in columns]
        lines.append(f"| {r.name} | {r.settings} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Medians over the trajectories; —: not reached by half of them; empty: not measured, as",
        "the distance after more oracle calls than the iterations make. Memory: numbers that an",
        "optimizer's state holds for each coordinate.",
        "",
    ]
    if any("*" in r.settings for r in ranked):
        lines += ["A star: the best value is at the edge of its grid, however far extended.", ""]
    lines += [f"Not run: {name}. {reason}" for name, reason in refused.items()]
    return "\n".join(lines).rstrip() + "\n"


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return ""
    if not math.isfinite(value):
        return "—"
    if key in SHARES:
        return f"{value:.2%}"
    if key.startswith("calls"):
        return f"{value:g}"
    if key == "memory":
        return f"{value:.1f}"
    return f"{value:.2f}" if key.endswith("_s") else f"{value:.1e}"

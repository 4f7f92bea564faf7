"""The results of a comparison as tables to read and plots to look at.

Axes: T iterations, B trajectories.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from l2o.evaluation.comparison import BUDGETS, THRESHOLDS, Result
from l2o.evaluation.tuning import Tuning
from l2o.io.files import replace_file
from l2o.reporting.comparison_plots import plot_comparison
from l2o.reporting.failures import spared
from l2o.reporting.front import plot_front
from l2o.reporting.quality_plots import plot_qualities, plot_strips
from l2o.reporting.tables import SHARES, Column, Table, format_of

ASSESSED = """Of each measure: interquartile mean over the trajectories, 95 % bootstrap interval
(low, high), mean, and interquartile mean of the averaged iterate, at the end of the run; after N
calls: at equal gradient calls. Memory: numbers that a state holds for each coordinate."""
NOTE = """Medians over the trajectories; —: not reached by half of them; inf: half have diverged;
empty: not measured, as the distance after more oracle calls than the iterations make. Memory:
numbers that an optimizer's state holds for each coordinate."""
STARS = "A star: the best value is at the edge of its grid, however far extended."


def write_tables(
    results: Sequence[Result], refused: Mapping[str, str], directory: Path, title: str, details: str
) -> None:
    """Writes `table.csv` and `table.md`, best first.

    Args:
        results: Of every optimizer that was run.
        refused: Why others were not.
        directory: Of the comparison.
        title: What was run.
        details: The problem's settings.
    """
    ranked = _ranked(results)
    columns = _columns(ranked)
    rows = [[r.name, r.settings, *_numbers(r, columns)] for r in ranked]
    headings = ["optimizer", "settings", *columns]
    Table([Column(heading) for heading in headings], rows).csv(directory / "table.csv")
    words = [Column("optimizer"), Column("settings")]
    numbers = [Column(key.replace("_", " "), format_of(key)) for key in columns]
    parts = [f"# {title}", details, Table([*words, *numbers], rows).markdown()]
    parts += [ASSESSED if ranked[0].assessment else NOTE]
    parts += [STARS] if any("*" in r.settings for r in ranked) else []
    parts += ["\n".join(f"Not run: {name}. {reason}" for name, reason in refused.items())]
    text = "\n\n".join(part for part in parts if part) + "\n"
    replace_file(directory / "table.md", text.encode())


def draw_comparison(results: Sequence[Result], directory: Path, title: str, details: str) -> None:
    """Draws the front, and the curves against iterations and oracle calls, into `plots/`.

    Args:
        results: Of every optimizer that was run.
        directory: Of the comparison.
        title: What was run.
        details: The problem's settings.
    """
    ranked, plots = _ranked(results), directory / "plots"
    if ranked[0].assessment:
        plot_qualities(plots / "iterations.png", ranked, "iterations", title, details)
        plot_qualities(plots / "oracle_calls.png", ranked, "oracle_calls", title, details)
        found = {r.name: r.assessment for r in ranked if r.assessment and r.assessment.samples}
        if found:
            plot_strips(plots / "samples.png", found, title, details)
        return
    if "sr1" in ranked[0].numbers:
        plot_front(plots / "front.png", ranked, title, details)
    plot_comparison(plots / "iterations.png", ranked, "iterations", title, details)
    plot_comparison(plots / "oracle_calls.png", ranked, "oracle_calls", title, details)


def write_tuning(name: str, tuning: Tuning, directory: Path) -> None:
    """Writes `tuning/<name>.csv`: every point of the grid with its scores, best first."""
    ordered = sorted(tuning.scores.items(), key=lambda item: item[1].rank)
    headings = [*tuning.names, *ordered[0][1]._fields]
    table = Table([Column(h) for h in headings], [[*point, *score] for point, score in ordered])
    table.csv(directory / "tuning" / f"{name}.csv")


@spared("table")
def print_comparison(
    results: Sequence[Result], refused: Mapping[str, str], directory: Path, title: str
) -> None:
    """Prints the table, best first, and where the results were written."""
    ranked = _ranked(results)
    shown = _shown(ranked)
    columns = [Column("optimizer"), *(Column(_brief(key), format_of(key)) for key in shown)]
    rows = [[r.name, *_numbers(r, shown)] for r in ranked]
    Table(columns, rows).print(title, bold=[r.learned for r in ranked])
    if ranked[0].assessment:
        print("interquartile means over the trajectories; low, high: 95 % interval of the first")
    elif any(key.startswith("calls_to") for key in shown):
        print("to 1e-2, …: oracle calls to that distance, median; —: not reached by half")
    else:
        print("100 calls, …: median distance after so many oracle calls")
    for name, reason in refused.items():
        print(f"not run: {name}. {reason}")
    print(f"results in {directory}")


def _brief(key: str) -> str:
    """The heading of a printed column: `to 1e-2`, `100 calls`, `averaged`."""
    heading = key.replace("calls_to_1e-0", "to 1e-")
    heading = heading.partition("_after_")[2].replace("_calls", " calls") or heading
    own = [end for end in ("low", "high", "averaged") if heading.endswith(f"_{end}")]
    return own[0] if own else heading.replace("_", " ")


def _numbers(result: Result, keys: Iterable[str]) -> list[float | None]:
    return [result.numbers.get(key) for key in keys]


def _shown(results: Sequence[Result]) -> list[str]:
    """What is printed: measures; else calls to distances or, where none gets there, distances."""
    columns = _columns(results)
    if results[0].assessment:
        first, *others = (measure.name for measure in results[0].assessment.measures)
        own = [first, f"{first}_low", f"{first}_high", f"{first}_averaged", *others]
        return [*own, "diverged", "calls", "tuning_s"]
    told = [f"calls_to_{threshold:.0e}" for threshold in THRESHOLDS]
    after = [f"{results[0].quantity}_after_{budget}_calls" for budget in BUDGETS]
    if after[0] in columns and not any(math.isfinite(r.numbers[told[-1]]) for r in results):
        told = after
    return [key for key in (*SHARES, *told) if key in columns]


def _ranked(results: Iterable[Result]) -> list[Result]:
    """By success first, then by the oracle calls to 1e-6, 1e-4, 1e-2, then by distance.

    Where the problem has measures of its own, by the first of them.
    """

    def rank(result: Result) -> list[float]:
        numbers = result.numbers
        if result.assessment:
            sign = -1 if result.assessment.measures[0].higher else 1
            return [sign * numbers[result.quantity]]
        calls = [numbers[f"calls_to_{threshold:.0e}"] for threshold in reversed(THRESHOLDS)]
        return [-numbers.get("sr1", 0.0), *calls, result.medians[2, -1].item()]

    return sorted(results, key=rank)


def _columns(results: Iterable[Result]) -> list[str]:
    """Every number that some optimizer has; not all have counts of their own."""
    # Those with most numbers first, so that what others lack keeps its place.
    fullest = sorted(results, key=lambda result: -len(result.numbers))
    return list(dict.fromkeys(key for result in fullest for key in result.numbers))

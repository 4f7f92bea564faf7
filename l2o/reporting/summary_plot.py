"""A plot of many runs: a row for each choice of settings, a point for each run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from l2o.reporting.drawing import BLUE, FLOOR, ORANGE, entitle, logarithmic, plot, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = 40
"""The most that are drawn, the best ones."""
PANELS = {
    "test/sr1": "SR1",
    "test/distance_median": "median distance, last iterate",
    "val/score": "validation score",
}


@plot
def plot_summary(
    figure: Figure, labels: Sequence[str], numbers: Sequence[Mapping[str, float]]
) -> None:
    """SR1, median distance and validation score of every run.

    Args:
        figure: Where to.
        labels: What sets each run apart besides its seed; the runs of one label share a row.
        numbers: Of each run, what `metrics.json` has; a run without a validation score is not
            drawn, but one must have it.
    """
    rows: dict[str, list[Mapping[str, float]]] = {}
    for label, found in zip(labels, numbers, strict=True):
        if "val/score" in found:
            rows.setdefault(label, []).append(found)
    ordered = sorted(rows.items(), key=lambda row: median(n["val/score"] for n in row[1]))
    drawn = ordered[:ROWS]
    width = 9 + 0.065 * max(len(label) for label, _ in drawn)
    figure.set_size_inches(width, 1.6 + 0.28 * len(drawn))
    axes = figure.subplots(1, len(PANELS), sharey=True)
    for axis, (key, title) in zip(axes, PANELS.items(), strict=True):
        values = [_values(runs, key) for _, runs in drawn]
        for place, row in enumerate(values):
            axis.plot(row, [place] * len(row), "o", color=BLUE, alpha=0.6, markersize=5)
            if row:
                axis.plot(median(row), place, "|", color=ORANGE, markersize=14, markeredgewidth=2)
            else:
                tested = any("test/sr1" in run for run in drawn[place][1])
                word, where = "diverged" if tested else "not tested", axis.get_yaxis_transform()
                axis.text(0.5, place, word, ha="center", va="center", fontsize=8, transform=where)
        axis.set_title(title, fontsize=11)
        if key == "test/sr1":
            axis.set_xlim(-0.03, 1.03)
        else:
            logarithmic(axis, itertools.chain(*values), "x")
        tidy(axis)
    names = [label for label, _ in drawn]
    axes[0].set_yticks(range(len(drawn)), names, fontsize=8, parse_math=False)
    axes[0].set_ylim(len(drawn) - 0.5, -0.5)
    shown = "" if len(drawn) == len(ordered) else f", the best {len(drawn)} of {len(ordered)} rows"
    count = sum(len(runs) for runs in rows.values())
    entitle(figure, f"{count} runs, a point for each; the bar is their median{shown}")


def _values(runs: Sequence[Mapping[str, float]], key: str) -> list[float]:
    """What of a row can be drawn in a panel."""
    return [max(run[key], FLOOR) for run in runs if math.isfinite(run.get(key, math.nan))]

"""A plot of many runs: a row for each choice of settings, a point for each run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from matplotlib.figure import Figure

from l2o.reporting.plots import FLOOR, MEAN, MEDIAN, save, tidy

ROWS = 40
"""The most that are drawn, the best ones."""
PANELS = {
    "test/sr1": "SR1",
    "test/distance_median": "median distance, last iterate",
    "val/score": "validation score",
}


def plot_summary(labels: Sequence[str], numbers: Sequence[Mapping[str, float]], path: Path) -> None:
    """SR1, median distance and validation score of every run.

    Args:
        labels: What sets each run apart besides its seed; the runs of one label share a row.
        numbers: Of each run, what `metrics.json` has; a run without a validation score is not
            drawn.
        path: The PNG file to write.
    """
    rows: dict[str, list[Mapping[str, float]]] = {}
    for label, found in zip(labels, numbers, strict=True):
        if "val/score" in found:
            rows.setdefault(label, []).append(found)
    if not rows:
        return
    ordered = sorted(rows.items(), key=lambda row: median(n["val/score"] for n in row[1]))
    drawn = ordered[:ROWS]
    width = 9 + 0.065 * max(len(label) for label, _ in drawn)
    figure = Figure(figsize=(width, 1.6 + 0.28 * len(drawn)), layout="constrained")
    axes = figure.subplots(1, len(PANELS), sharey=True)
    for axis, (key, title) in zip(axes, PANELS.items(), strict=True):
        for place, (_, runs) in enumerate(drawn):
            values = [max(run[key], FLOOR) for run in runs if key in run]
            values = [value for value in values if math.isfinite(value)]
            axis.plot(values, [place] * len(values), "o", color=MEDIAN, alpha=0.6, markersize=5)
            if values:
                axis.plot(median(values), place, "|", color=MEAN, markersize=14, markeredgewidth=2)
        axis.set_title(title, fontsize=11)
        if key == "test/sr1":
            axis.set_xlim(-0.03, 1.03)
        else:
            axis.set_xscale("log")
        tidy(axis)
    axes[0].set_yticks(range(len(drawn)), [label for label, _ in drawn], fontsize=8)
    axes[0].set_ylim(len(drawn) - 0.5, -0.5)
    shown = "" if len(drawn) == len(ordered) else f", the best {len(drawn)} of {len(ordered)} rows"
    count = sum(len(runs) for runs in rows.values())
    figure.suptitle(f"{count} runs, a point for each; the bar is their median{shown}", fontsize=11)
    save(figure, path)

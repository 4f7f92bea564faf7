"""Plots of a comparison: every optimizer a curve.

Axes: T iterations, B trajectories.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure

from l2o.evaluation.comparison import Result
from l2o.reporting.plots import FLOOR, LABELS, save, tidy

STYLES = ("-", "--", ":")


def plot_comparison(
    results: Sequence[Result],
    axis: Literal["iterations", "oracle_calls"],
    path: Path,
    title: str,
) -> None:
    """Median distances of x, of y and of both against iterations or oracle calls.

    Args:
        results: In the order of the legend; learned optimizers are drawn thick.
        axis: What the distances are drawn against.
        path: The PNG file to write.
        title: What was run.
    """
    figure = Figure(figsize=(14, 5), layout="constrained")
    panels: Any = figure.subplots(1, 3, sharey=True)
    colors = colormaps["tab10"].colors  # type: ignore[attr-defined]
    learned = [result.name for result in results if result.learned]
    for place, result in enumerate(results):
        calls = result.calls
        steps = torch.arange(result.medians.shape[1], dtype=torch.double)
        if axis == "oracle_calls":
            steps = calls.start + calls.iteration * steps
        turn = learned.index(result.name) if result.learned else place // len(colors)
        style = {
            "color": "black" if result.learned else colors[place % len(colors)],
            "linestyle": STYLES[turn % len(STYLES)],
            "linewidth": 2.4 if result.learned else 1.2,
        }
        for panel, median in zip(panels, result.medians.clamp(min=FLOOR), strict=True):
            panel.plot(steps[1:], median[1:], label=result.name, **style)
    for panel, player in zip(panels, ("$x$", "$y$", "$x$ and $y$"), strict=True):
        panel.set_title(player, fontsize=11)
        panel.set_xlabel(axis.replace("_", " "))
        panel.set_xscale("log")
        panel.set_yscale("log")
        tidy(panel)
    if results:
        panels[0].set_ylabel("median " + LABELS[results[0].quantity])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=11)
    save(figure, path)

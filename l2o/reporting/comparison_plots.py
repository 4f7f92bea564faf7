"""Plots of a comparison: every optimizer a curve.

Axes: T iterations, B trajectories.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch

from l2o.evaluation.comparison import Result
from l2o.reporting.drawing import (
    COLORS,
    FLOOR,
    LABELS,
    STYLES,
    entitle,
    floors,
    logarithmic,
    plot,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def line_styles(results: Sequence[Result]) -> list[dict[str, Any]]:
    """How the line of each optimizer is drawn; learned ones are black and thick."""
    learned = [result.name for result in results if result.learned]
    styles: list[dict[str, Any]] = []
    for place, result in enumerate(results):
        turn = learned.index(result.name) if result.learned else place // len(COLORS)
        color = "black" if result.learned else COLORS[place % len(COLORS)]
        width = 2.4 if result.learned else 1.2
        styles.append({"color": color, "linestyle": STYLES[turn % len(STYLES)], "linewidth": width})
    return styles


@plot
def plot_comparison(
    figure: Figure,
    results: Sequence[Result],
    axis: Literal["iterations", "oracle_calls"],
    title: str,
    details: str,
) -> None:
    """Median distances of x, of y and of both against iterations or oracle calls.

    Args:
        figure: Where to.
        results: In the order of the legend; learned optimizers are drawn thick.
        axis: What the distances are drawn against.
        title: What was run.
        details: The problem's settings.
    """
    figure.set_size_inches(14, 5)
    panels: Any = figure.subplots(1, 3, sharey=True)
    for result, style in zip(results, line_styles(results), strict=True):
        calls = result.calls
        steps = torch.arange(result.medians.shape[1], dtype=torch.double)
        if axis == "oracle_calls":
            steps = calls.start + calls.iteration * steps
        # A median that diverges leaves the plot; its name says so where that is at once.
        lost = not result.medians[2, -1].isfinite()
        label = f"{result.name} (diverged)" if lost else result.name
        for panel, curve in zip(panels, result.medians.clamp(min=FLOOR), strict=True):
            panel.plot(steps[1:], curve[1:], label=label, **style)
    for panel, player in zip(panels, ("$x$", "$y$", "$x$ and $y$"), strict=True):
        panel.set_title(player, fontsize=11)
        panel.set_xlabel(axis.replace("_", " "))
        panel.set_xscale("log")
        tidy(panel)
    medians = torch.cat([result.medians.flatten() for result in results])
    drawn = medians[medians.isfinite()].clamp(min=FLOOR)
    logarithmic(panels[0], (drawn.min().item(), drawn.max().item()) if len(drawn) else ())
    for panel in panels:
        floors(panel, medians.dtype)
    panels[0].set_ylabel("median " + LABELS[results[0].quantity])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8)
    entitle(figure, title, details)

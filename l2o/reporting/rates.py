"""Exact rates as a file, a plot and a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from l2o.evaluation.metrics import median
from l2o.evaluation.rates import Curve
from l2o.reporting.drawing import COLORS, STYLES, entitle, plot, tidy
from l2o.reporting.failures import spared
from l2o.reporting.tables import Column, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HIGHEST = 1.05
"""Where rates above are drawn: a method above 1 goes away, however fast."""


def write_rates(curves: Sequence[Curve], mixtures: Tensor, path: Path) -> None:
    """Writes a CSV file with a row for each method, mixture and game."""
    headings = ("method", "c", "game", "rate", "rate_per_call", "hyperparameters")
    rows = [
        (
            curve.name,
            f"{c:g}",
            game,
            curve.rates[place, game].item(),
            curve.per_call[place, game].item(),
            " ".join(f"{key}={value:g}" for key, value in curve.points[place][game].items()),
        )
        for curve in curves
        for place, c in enumerate(mixtures.tolist())
        for game in range(curve.rates.shape[1])
    ]
    Table([Column(heading) for heading in headings], rows).csv(path)


@plot
def plot_rates(figure: Figure, curves: Sequence[Curve], mixtures: Tensor, title: str) -> None:
    """Median rates against the mixture, an iteration and an oracle call.

    Args:
        figure: Where to.
        curves: A line each.
        mixtures: Of the rates, (mixtures,).
        title: What the games are.
    """
    figure.set_size_inches(12, 4.6)
    panels: Any = figure.subplots(1, 2, sharey=True)
    for panel, per_call in zip(panels, (False, True), strict=True):
        for place, curve in enumerate(curves):
            rate = median(curve.per_call) if per_call else curve.medians
            style = {"color": COLORS[place % len(COLORS)], "ls": STYLES[place // len(COLORS)]}
            panel.plot(mixtures, rate.clamp(max=HIGHEST), label=curve.name, lw=1.3, **style)
        panel.axhline(1, color="grey", lw=0.8)
        panel.set_xlabel("mixture $c$: cooperative 0, adversarial 1")
        panel.set_title("per oracle call" if per_call else "per iteration", fontsize=11)
        tidy(panel)
    panels[0].set_ylabel("best rate (lower is faster)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8)
    entitle(figure, f"{title}  ·  median of {curves[0].rates.shape[1]} games")


@spared("table")
def print_rates(curves: Sequence[Curve], mixtures: Tensor, directory: Path) -> None:
    """Prints the rates an iteration at five mixtures, and where all were written."""
    last = len(mixtures) - 1
    shown = sorted({0, last // 4, last // 2, 3 * last // 4, last})
    heads = [Column(f"c = {mixtures[place]:.2f}", "{:.4f}".format) for place in shown]
    rows = [[curve.name, *curve.medians[shown].tolist()] for curve in curves]
    Table([Column("method"), *heads], rows).print("best rate an iteration, median over the games")
    print(f"results in {directory}")

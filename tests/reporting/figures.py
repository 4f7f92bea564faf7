"""Figures as they are before they are written."""

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure


def drawn(plot: Callable[..., None], *args: Any) -> Figure:
    """What a plot draws."""
    figure = Figure(layout="constrained")
    plot.__wrapped__(figure, *args)  # type: ignore[attr-defined]
    figure.draw_without_rendering()
    return figure

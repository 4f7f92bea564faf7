"""How every plot is drawn: one style, colours for all eyes, and written whole or not at all.

Matplotlib is imported while drawing, not before: a broken `matplotlibrc` or an unknown backend
fails already then, and may cost a plot but no results.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec

import torch

from l2o.io.files import replace_file
from l2o.reporting.failures import spared

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")
FLOOR = 1e-16
"""Where zero, and what is smaller than this, is drawn on a logarithmic axis."""
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8a8a8a"
COLORS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Told apart by the colour-blind too.

Source: M. Okabe and K. Ito, Color Universal Design (2008), without black and yellow.
"""
STYLES = ("-", "--", ":", "-.")
"""Of the lines that share a colour."""
LABELS = {"distance": "distance to the nearest solution", "gradient_norm": "gradient norm"}


def plot(draw: Callable[Concatenate[Figure, P], None]) -> Callable[Concatenate[Path, P], None]:
    """Turns a function that fills a figure into one that writes it as a PNG file.

    Called with a path in place of the figure. Settings of the user's Matplotlib do not count, and a
    plot that fails is a warning.

    Args:
        draw: Draws into an empty figure.
    """

    def write(path: Path, /, *args: P.args, **kwargs: P.kwargs) -> None:
        with spared(str(path)):
            from matplotlib import style
            from matplotlib.figure import Figure

            with style.context("default"):
                figure = Figure(layout="constrained")
                draw(figure, *args, **kwargs)
                content = io.BytesIO()
                # Tight, so that a long name beyond the edge is not cut off.
                figure.savefig(content, format="png", dpi=130, bbox_inches="tight")
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content.getvalue())

    functools.update_wrapper(write, draw)
    return write


def entitle(figure: Figure, *lines: str) -> None:
    """Writes lines above all panels, as they are: a name may hold what is mathematics elsewhere."""
    figure.suptitle("\n".join(line for line in lines if line), fontsize=11, parse_math=False)


def tidy(axis: Any) -> None:
    """A faint grid, and no frame on the right and above."""
    axis.grid(alpha=0.25, lw=0.5)
    axis.spines[["top", "right"]].set_visible(False)


def head(axis: Any, name: str, *remarks: str) -> None:
    """The name of a panel, and below it in words what cannot be drawn."""
    axis.set_title("\n".join((name, *remarks)), fontsize=9 if remarks else 11)


def whole_numbers(axis: Any) -> None:
    """Ticks of epochs, which have no fractions."""
    axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def logarithmic(axis: Any, values: Iterable[float], which: Literal["x", "y"] = "y") -> None:
    """A logarithmic scale, with ticks that can be read however near its values are.

    Args:
        axis: Its panel.
        values: What is drawn, all positive and finite.
        which: Along which direction.
    """
    drawn = list(values)
    if not drawn:
        axis.set(**{f"{which}ticks": []})
        return
    axis.set(**{f"{which}scale": "log"})
    if max(drawn) < 10 * min(drawn):
        # So wide that it holds a power of ten: a scale with no tick that is one has no numbers.
        middle = (max(drawn) * min(drawn)) ** 0.5
        axis.set(**{f"{which}lim": (middle / 10**0.75, middle * 10**0.75)})
    if which == "x":
        axis.xaxis.set_minor_formatter("")  # side by side, numbers between would run together


def floors(axis: Any, dtype: torch.dtype | None = None) -> None:
    """Marks where the axis ends, and how precise the float type is, if the values get there.

    Args:
        axis: A logarithmic one, with everything else drawn.
        dtype: The float type of the computation, if that is what is drawn.
    """
    low, high = axis.get_ylim()
    marks = {FLOOR: (f"{FLOOR:g} and below", 0)}
    if dtype is not None:
        marks[torch.finfo(dtype).eps] = (f"ε of {str(dtype).removeprefix('torch.')}", 1)
    for height, (text, side) in marks.items():
        if low <= height <= high:
            axis.axhline(height, color=GREY, lw=0.8, ls=":", zorder=0)
            style = {"ha": ("left", "right")[side], "va": "bottom", "fontsize": 7, "color": GREY}
            place = axis.get_yaxis_transform()
            axis.text(0.01 + 0.98 * side, height, text, transform=place, **style)

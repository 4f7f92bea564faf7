"""Plots of what a problem's own measures found: learning curves, and strips of samples.

Axes: M measures, K looks, B trajectories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch

from l2o.evaluation.comparison import Result
from l2o.evaluation.metrics import interquartile_mean
from l2o.evaluation.quality import Assessment
from l2o.reporting.comparison_plots import line_styles
from l2o.reporting.drawing import BLUE, ORANGE, entitle, plot, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = 6
"""Of a strip."""
MARGIN = 1.3
"""Half the width of a panel of a strip, in units of the farthest real sample."""


@plot
def plot_quality(figure: Figure, found: Assessment, title: str, details: str) -> None:
    """Each measure against iterations: of the iterate with its middle half, and of the average.

    Args:
        figure: Where to.
        found: What was found of one optimizer.
        title: What was run.
        details: The problem's settings and the checkpoint.
    """
    panels = _panels(figure, found)
    low, high = (found.last.double().quantile(q, dim=2) for q in (0.25, 0.75))
    for place, panel in enumerate(panels):
        style: dict[str, Any] = {"color": BLUE, "alpha": 0.18, "lw": 0, "label": "middle half"}
        panel.fill_between(found.iterations, low[place], high[place], **style)
        for name, color, values in (
            ("averaged iterate", ORANGE, found.averaged),
            ("last iterate", BLUE, found.last),
        ):
            curve = interquartile_mean(values[place])
            panel.plot(found.iterations, curve, color=color, lw=1.3, label=name)
        panel.set_xlabel("iteration")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    count, lost = len(found.diverged), int(found.diverged.sum())
    entitle(figure, f"{title}  ·  {count} trajectories, {lost} diverged", details)


@plot
def plot_qualities(
    figure: Figure,
    results: Sequence[Result],
    axis: Literal["iterations", "oracle_calls"],
    title: str,
    details: str,
) -> None:
    """Each measure's interquartile mean against iterations or gradient calls, by optimizer.

    Args:
        figure: Where to.
        results: In the order of the legend; learned optimizers are drawn thick.
        axis: What the measures are drawn against.
        title: What was run.
        details: The problem's settings.
    """
    first = results[0].assessment
    assert first is not None
    panels = _panels(figure, first)
    for result, style in zip(results, line_styles(results), strict=True):
        assert result.assessment is not None
        when = torch.tensor(result.assessment.iterations, dtype=torch.double)
        if axis == "oracle_calls":
            when = result.calls.start + result.calls.iteration * when
        for panel, curve in zip(panels, result.assessment.curves, strict=True):
            panel.plot(when, curve, label=result.name, **style)
    for panel in panels:
        panel.set_xlabel("iterations" if axis == "iterations" else "gradient calls")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8)
    entitle(figure, title, details)


def _panels(figure: Figure, found: Assessment) -> list[Any]:
    """A panel for each measure."""
    figure.set_size_inches(1 + 4.3 * len(found.measures), 4.2)
    panels = list(figure.subplots(1, len(found.measures), squeeze=False)[0])
    for panel, measure in zip(panels, found.measures, strict=True):
        better = "higher" if measure.higher else "lower"
        panel.set_title(f"{measure.name.replace('_', ' ')} ({better} is better)", fontsize=10)
        tidy(panel)
    return panels


@plot
def plot_strips(figure: Figure, found: Mapping[str, Assessment], title: str, details: str) -> None:
    """Samples against data over time: a row for each optimizer, of its first trajectory.

    Args:
        figure: Where to.
        found: By the names of the rows; all have samples.
        title: What was run.
        details: The problem's settings.
    """
    figure.set_size_inches(1 + 1.8 * PANELS, 0.7 + 1.8 * len(found))
    rows: Any = figure.subplots(len(found), PANELS, squeeze=False)
    for row, (name, one) in zip(rows, found.items(), strict=True):
        half = MARGIN * one.samples[0].real.abs().max().item()
        looks = torch.linspace(0, len(one.iterations) - 1, PANELS).round().int().tolist()
        for panel, look in zip(row, looks, strict=True):
            for points, color in (
                (one.samples[look].real, "#c8c8c8"),
                (one.samples[look].generated, BLUE),
            ):
                panel.scatter(*points.T, s=2, color=color, lw=0)
            panel.set(xlim=(-half, half), ylim=(-half, half), xticks=[], yticks=[], aspect="equal")
            panel.set_title(f"iteration {one.iterations[look]}", fontsize=8)
        row[0].set_ylabel(name, fontsize=9, parse_math=False)
    entitle(figure, title, details)

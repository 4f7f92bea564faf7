"""Plots of one run.

Axes: T iterations, B trajectories.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from l2o.evaluation.metrics import ACCURACY, STEADINESS, Measurements, accurate, median, steady
from l2o.problems import Instances
from l2o.reporting.drawing import (
    BLUE,
    FLOOR,
    LABELS,
    ORANGE,
    entitle,
    floors,
    head,
    logarithmic,
    plot,
    tidy,
    whole_numbers,
)
from l2o.reporting.tables import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = (9.0, 4.0)
"""Of a figure with two panels, in inches."""


@plot
def plot_convergence(figure: Figure, measured: Measurements, title: str, details: str) -> None:
    """Median, mean and 10–90 % band of both players against iterations, on a log axis.

    Args:
        figure: Where to.
        measured: Distances of all iterates, (T + 1, B).
        title: What was run.
        details: The problem's settings and the checkpoint.
    """
    figure.set_size_inches(SIZE)
    axes = figure.subplots(1, 2, sharey=True)
    for axis, player, values in zip(axes, "xy", (measured.x, measured.y), strict=True):
        head(axis, f"${player}$", *_band(axis, values.double()))
        axis.set_xlim(0, max(1, len(values) - 1))
        axis.set_xlabel("iteration")
        tidy(axis)
    both = torch.cat([measured.x, measured.y])
    drawn = both[both.isfinite()].double().clamp(min=FLOOR)
    logarithmic(axes[0], (drawn.min().item(), drawn.max().item()) if len(drawn) else ())
    for axis in axes if len(drawn) else ():
        floors(axis, measured.x.dtype)
    axes[0].set_ylabel(LABELS[measured.quantity])
    handles, labels = axes[0].get_legend_handles_labels()
    style: dict[str, Any] = {"ncols": 3, "frameon": False, "fontsize": 9}
    figure.legend(handles, labels, loc="outside lower center", **style)
    diverged = int(measured.diverged.sum())
    note = f"{measured.x.shape[1]} trajectories, {diverged} diverged"
    entitle(figure, f"{title}  ·  {note}", details)


def _band(axis: Any, values: Tensor) -> list[str]:
    """One player's distances, (T + 1, B); returns in words where they are infinite."""
    iterations, last = range(len(values)), values.shape[1] - 1
    ordered = values.sort(dim=1).values
    low, high = ordered[:, math.floor(0.1 * last)], ordered[:, math.ceil(0.9 * last)]
    # Where the upper bound is infinite, the band goes up to the top of what is drawn.
    finite = values[values.isfinite()]
    top = max(FLOOR, finite.max().item()) if len(finite) else FLOOR
    band = [bound.clamp(FLOOR, top) for bound in (low, high)]
    style: dict[str, Any] = {"color": BLUE, "alpha": 0.18, "lw": 0, "label": "10–90 %"}
    axis.fill_between(iterations, *band, where=low.isfinite(), **style)
    words = []
    curves = (("mean", ORANGE, values.mean(1)), ("median", BLUE, median(values)))
    for name, color, curve in curves:
        axis.plot(iterations, curve.clamp(min=FLOOR), color=color, lw=1.3, label=name)
        infinite = (~curve.isfinite()).nonzero()
        if len(infinite):
            words.append(f"from iteration {infinite[0].item()} on the {name} is infinite: diverged")
    return words


@plot
def plot_training(
    figure: Figure, history: Sequence[dict[str, float]], title: str, details: str
) -> None:
    """The meta-loss and the validation score of every epoch.

    Args:
        figure: Where to.
        history: One record an epoch, as in `metrics.csv`.
        title: What was run.
        details: The problem's settings.
    """
    figure.set_size_inches(SIZE)
    left, right = figure.subplots(1, 2, sharex=True)
    marker = "." if len(history) == 1 else ""
    losses = [record["train/meta_loss"] for record in history]
    left.plot([r["epoch"] for r in history], losses, color=BLUE, marker=marker)
    infinite = sum(not math.isfinite(loss) for loss in losses)
    head(left, "training", *([f"{infinite} epochs without a finite meta-loss"] if infinite else []))
    left.set_ylabel("meta-loss")
    head(right, "validation", *_validations(right, history))
    right.set_ylabel("validation score (lower is better)")
    for axis in (left, right):
        axis.set_xlabel("epoch")
        whole_numbers(axis)
        tidy(axis)
    entitle(figure, title, details)


def _validations(axis: Any, history: Sequence[dict[str, float]]) -> list[str]:
    """The scores of the epochs that have one; returns in words what cannot be drawn."""
    scores = {r["epoch"]: r["val/score"] for r in history if "val/score" in r}
    sound = {epoch: score for epoch, score in scores.items() if math.isfinite(score)}
    drawn = [max(score, FLOOR) for score in sound.values()]
    axis.plot(list(sound), drawn, color=BLUE, marker=".", markersize=4)
    logarithmic(axis, drawn)
    if sound:
        epoch = min(sound, key=lambda epoch: sound[epoch])
        label = f"best: {sound[epoch]:.2e} in epoch {epoch:.0f}"
        axis.plot(epoch, max(sound[epoch], FLOOR), "o", color=ORANGE, label=label)
        axis.legend(frameon=False, fontsize=9)
        floors(axis)
    if not scores:
        return ["there was none"]
    lost = len(scores) - len(sound)
    return [f"{lost} of {len(scores)} validations: all diverged"] if lost else []


@plot
def plot_plane(
    figure: Figure,
    measured: Measurements,
    instances: Instances,
    starts: int,
    title: str,
    details: str,
) -> None:
    """Success of each instance over the plane of its two parameters.

    Args:
        figure: Where to.
        measured: Distances on `starts` copies of the instances, one after another.
        instances: The same, B = starts · instances; their θ has two scalar parameters.
        starts: Starting points of each instance.
        title: What was run.
        details: The problem's settings and the checkpoint.
    """
    figure.set_size_inches(SIZE)
    names = list(instances.problem.ranges)
    count = len(instances) // starts
    first, second = (instances.theta[name][:count, 0].cpu() for name in names)
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    rates = {
        f"SR1: mean distance < {ACCURACY:g}": accurate(measured),
        f"SR2: its deviation < {STEADINESS:g}": steady(measured),
    }
    for axis, (label, success) in zip(axes, rates.items(), strict=True):
        rate = success.view(starts, count).float().mean(0)
        points = axis.scatter(
            first, second, c=rate, cmap="cividis", vmin=0, vmax=1, s=30, edgecolors="grey", lw=0.4
        )
        share = percent(2)(success.double().mean().item())
        axis.set_title(f"{label}  ·  {share}", fontsize=11)
        axis.set_xlabel(names[0], parse_math=False, style="italic")
        axis.locator_params(axis="x", nbins=5)
        tidy(axis)
    axes[0].set_ylabel(names[1], parse_math=False, style="italic")
    figure.colorbar(points, ax=axes, label=f"share of {starts} starts that succeed")
    entitle(figure, title, details)


def has_plane(measured: Measurements, instances: Instances) -> bool:
    """Whether `plot_plane` applies: two scalar parameters and known solutions."""
    return len(instances.problem.ranges) == 2 and measured.quantity == "distance"

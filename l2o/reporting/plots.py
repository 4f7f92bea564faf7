"""Plots of results, written as PNG files.

Axes: T iterations, B trajectories.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from l2o.evaluation.metrics import ACCURACY, STEADINESS, Measurements, accurate, steady
from l2o.problems import Instances

FLOOR = 1e-16
"""Where zero is drawn on a logarithmic axis."""
MEDIAN, MEAN = "#1f5fa8", "#d1662b"
LABELS = {"distance": "distance to the nearest solution", "gradient_norm": "gradient norm"}


def plot_convergence(measured: Measurements, path: Path, title: str) -> None:
    """Median, mean and 10–90 % band of both players against iterations, on a log axis.

    Args:
        measured: Distances of all iterates, (T + 1, B).
        path: The PNG file to write.
        title: What was run.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, player, values in zip(axes, "xy", (measured.x, measured.y), strict=True):
        _band(axis, values)
        axis.set_title(f"${player}$", fontsize=11)
        axis.set_xlabel("iteration")
    axes[0].set_ylabel(LABELS[measured.quantity])
    axes[0].legend(frameon=False, fontsize=9)
    diverged = int(measured.diverged.sum())
    note = f"{measured.x.shape[1]} trajectories, {diverged} diverged"
    figure.suptitle(f"{title}  ·  {note}", fontsize=11)
    save(figure, path)


def plot_training(history: Sequence[dict[str, float]], path: Path) -> None:
    """The meta-loss and the validation score of every epoch.

    Args:
        history: One record an epoch, as in `metrics.csv`.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([r["epoch"] for r in history], [r["train/meta_loss"] for r in history], color=MEDIAN)
    left.set_ylabel("meta-loss")
    left.set_title("training", fontsize=11)
    validated = [r for r in history if "val/score" in r]
    epochs = [r["epoch"] for r in validated]
    scores = [max(r["val/score"], FLOOR) for r in validated]
    right.plot(epochs, scores, color=MEDIAN, marker=".", markersize=4)
    if scores:
        best = min(range(len(scores)), key=scores.__getitem__)
        label = f"best: {scores[best]:.2e} in epoch {epochs[best]:.0f}"
        right.plot(epochs[best], scores[best], "o", color=MEAN, label=label)
        right.legend(frameon=False, fontsize=9)
    right.set_ylabel("validation score (lower is better)")
    right.set_yscale("log")
    right.set_title("validation", fontsize=11)
    for axis in (left, right):
        axis.set_xlabel("epoch")
        tidy(axis)
    save(figure, path)


def plot_plane(measured: Measurements, instances: Instances, starts: int, path: Path) -> None:
    """Success of each instance over the plane of its two parameters.

    Args:
        measured: Distances on `starts` copies of the instances, one after another.
        instances: The same, B = starts · instances; their θ has two scalar parameters.
        starts: Starting points of each instance.
        path: The PNG file to write.
    """
    names = list(instances.problem.ranges)
    count = len(instances) // starts
    first, second = (instances.theta[name][:count, 0].cpu() for name in names)
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    rates = {
        f"SR1: mean distance < {ACCURACY:g}": accurate(measured),
        f"SR2: its deviation < {STEADINESS:g}": steady(measured),
    }
    for axis, (label, success) in zip(axes, rates.items(), strict=True):
        rate = success.view(starts, count).float().mean(0)
        points = axis.scatter(
            first, second, c=rate, cmap="RdYlGn", vmin=0, vmax=1, s=30, edgecolors="grey", lw=0.4
        )
        axis.set_title(f"{label}  ·  {success.float().mean():.2%}", fontsize=11)
        axis.set_xlabel(f"${names[0]}$")
        tidy(axis)
    axes[0].set_ylabel(f"${names[1]}$")
    figure.colorbar(points, ax=axes, label=f"share of {starts} starts that succeed")
    save(figure, path)


def has_plane(measured: Measurements, instances: Instances) -> bool:
    """Whether `plot_plane` applies: two scalar parameters and known solutions."""
    return len(instances.problem.ranges) == 2 and measured.quantity == "distance"


def _band(axis: Any, values: Tensor) -> None:
    iterations = range(len(values))
    levels = torch.tensor([0.1, 0.5, 0.9], dtype=torch.double)
    low, median, high = torch.quantile(values.double(), levels, dim=1).clamp(min=FLOOR)
    axis.fill_between(iterations, low, high, color=MEDIAN, alpha=0.18, lw=0, label="10–90 %")
    axis.plot(iterations, median, color=MEDIAN, label="median")
    axis.plot(iterations, values.double().mean(1).clamp(min=FLOOR), color=MEAN, lw=1, label="mean")
    axis.set_yscale("log")
    tidy(axis)


def tidy(axis: Any) -> None:
    axis.grid(alpha=0.25, lw=0.5)
    axis.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Tight, so that a long name beyond the edge is not cut off.
    figure.savefig(path, dpi=130, bbox_inches="tight")

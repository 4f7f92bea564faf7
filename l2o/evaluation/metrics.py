"""Numbers that say how well an optimizer did.

Axes: T iterations, B trajectories.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.io.seeds import generator

TAIL = 0.2
"""The share of a trajectory that success is judged by."""
ACCURACY = 2e-2
"""SR1: the largest mean distance over the tail."""
SETTLED = 1e-4
"""The distance that validation waits for; far smaller ones are rounding in single precision."""
STEADINESS = 1e-4
"""SR2: the largest standard deviation of the distance over the tail."""

RESAMPLES = 2000
"""How often the bootstrap resamples."""

WORST = 10.0
"""What a diverged trajectory adds to a validation score: as much as this many that never leave the
farthest start, or as the worst of the others if that is more.

Were it infinite, a single one among many would make an epoch that solves all others worse than one
that solves nothing. So it is worse than not to move and than all that is sound. Each further one
makes the score worse, unless it was by far the worst before; without any the score is the plain
mean.
"""


class Measurements(NamedTuple):
    """How far every iterate of a batch of trajectories is from a solution.

    Where the problem declares no solutions, the players' gradient norms take their place.
    From the iteration where a trajectory diverges on, its distances are infinite.
    """

    x: Tensor
    """(T + 1, B), the starting point first."""
    y: Tensor
    """(T + 1, B)"""
    diverged: Tensor
    """(B,)"""
    quantity: str
    """`distance` or `gradient_norm`."""
    counts: Mapping[str, Tensor] = MappingProxyType({})
    """What the optimizer itself counts, see `Optimizer.counts`, (B,) each."""
    memory: float = 0.0
    """Numbers that the optimizer's state holds for each coordinate."""

    @property
    def joint(self) -> Tensor:
        """Both players together, √(x² + y²), (T + 1, B)."""
        return torch.hypot(self.x, self.y)

    def summary(self) -> dict[str, float]:
        """The metrics of a set of trajectories.

        Returns:
            `<quantity>_median` and `<quantity>_mean` of the last iterates, `diverged` as a share
            of the trajectories, the means of the optimizer's own counts and, where solutions are
            known, `sr1` and `sr2` as shares.
        """
        last = self.joint[-1].double()
        metrics = {}
        if self.quantity == "distance":
            metrics["sr1"] = accurate(self).double().mean().item()
            metrics["sr2"] = steady(self).double().mean().item()
        metrics[f"{self.quantity}_median"] = median(last).item()
        metrics[f"{self.quantity}_mean"] = last.mean().item()
        metrics["diverged"] = self.diverged.double().mean().item()
        counts = {name: values.double().mean().item() for name, values in self.counts.items()}
        return {**metrics, **counts}


def median(values: Tensor, dim: int = -1) -> Tensor:
    """The median along a dimension: of an even number, the mean of the two in the middle.

    As `statistics.median`. The median of 1 and ∞ is ∞, and NaN counts as larger than all numbers,
    like the failure that it stands for. (`torch.median` is the lower of the two; `torch.quantile`
    makes NaN of two that are infinite, and takes no more than 2²⁴ numbers.)

    Args:
        values: Of any shape.
        dim: What the result has no more.
    """
    ordered, count = values.sort(dim).values, values.shape[dim]
    return (ordered.select(dim, (count - 1) // 2) + ordered.select(dim, count // 2)) / 2


def interquartile_mean(values: Tensor) -> Tensor:
    """The mean of the middle half along the last dimension, a quarter left out at either end.

    Source: recommended for few runs by Agarwal et al. (NeurIPS 2021).
    """
    ordered, count = values.sort(dim=-1).values, values.shape[-1]
    return ordered[..., count // 4 : count - count // 4].mean(-1)


def interval(values: Tensor) -> tuple[float, float]:
    """The 95 % bootstrap interval of an interquartile mean, over the instances.

    An instance is drawn with all its starting points, which have its difficulty in common.

    Args:
        values: (starting points, instances).
    """
    count = values.shape[1]
    drawn = torch.randint(count, (RESAMPLES, count), generator=generator(0, "bootstrap"))
    resampled = values[:, drawn].transpose(0, 1).flatten(1)  # (resamples, all trajectories)
    means = interquartile_mean(resampled).sort().values
    beyond = round(0.025 * RESAMPLES)
    return means[beyond].item(), means[-1 - beyond].item()


def accurate(measured: Measurements) -> Tensor:
    """SR1 of each trajectory: the mean distance over the tail is below 2e-2, (B,)."""
    return _tail(measured.joint, TAIL).mean(0) < ACCURACY


def steady(measured: Measurements) -> Tensor:
    """SR2 of each trajectory: the standard deviation over the tail is below 1e-4, (B,).

    A diverged trajectory fails, however constant its end.
    """
    return (_tail(measured.joint, TAIL).std(0, correction=0) < STEADINESS) & ~measured.diverged


def settling_iteration(measured: Measurements, threshold: float) -> Tensor:
    """The iteration from which a trajectory stays below a distance, infinite if none, (B,).

    Being below once is not enough: a trajectory that circles may pass close by.
    """
    far = ~(measured.joint < threshold)
    iterations = torch.arange(1, len(far) + 1, dtype=torch.double).unsqueeze(1)
    settled = (far * iterations).amax(0)
    return settled.masked_fill(settled == len(far), torch.inf)


def squared_tail_sum(measured: Measurements) -> float:
    """The released code's score: Σ over the last half of squared distances, instance mean.

    A trajectory that has diverged counts as `WORST` says.
    """
    return _mean_score(measured, lambda far: _tail(far, 0.5).square().sum(0))


def tail_mean(measured: Measurements) -> float:
    """The mean distance over the tail that success is judged by; diverged ones as `WORST` says."""
    return _mean_score(measured, lambda far: _tail(far, TAIL).mean(0))


def settling(measured: Measurements) -> float:
    """The geometric mean of the iterations until the distance stays below 1e-4, all if never."""
    iterations = len(measured.joint) - 1
    settled = settling_iteration(measured, SETTLED).clamp(1, iterations)
    return settled.log().mean().exp().item()


SCORES: dict[str, Callable[[Measurements], float]] = {
    "squared_tail_sum": squared_tail_sum,
    "tail_mean": tail_mean,
    "settling": settling,
}
"""Validation scores by name; the lowest is best."""


def _tail(values: Tensor, share: float) -> Tensor:
    """The last iterates, `share` of the iterations, in double precision, (·, B)."""
    iterations = len(values) - 1
    return values[len(values) - max(1, math.floor(share * iterations)) :].double()


def _mean_score(measured: Measurements, score: Callable[[Tensor], Tensor]) -> float:
    """The mean score of the trajectories; infinite if all have failed from the first.

    Args:
        measured: Distances of B trajectories.
        score: From distances, (T + 1, B), to the score of each trajectory, (B,).
    """
    far = measured.joint
    scores, unmoved = score(far), score(far[:1].expand_as(far))
    sound = scores.isfinite()
    known = torch.cat([scores[sound], WORST * unmoved[unmoved.isfinite()]])
    worst = known.max() if len(known) else math.inf
    return torch.where(sound, scores, worst).mean().item()

"""Tuning: the best point of a hand-designed method's grid, found in batched unrolls.

Axes: P grid points, B trajectories; the row of point p and trajectory b is p · B + b.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from l2o.evaluation.measure import distances
from l2o.evaluation.metrics import ACCURACY, TAIL, median
from l2o.evaluation.quality import measured
from l2o.io import checks
from l2o.io.seeds import generator
from l2o.optimizers import map_state
from l2o.optimizers.base import check_start
from l2o.optimizers.hand_designed import Grid, HandDesigned
from l2o.problems import Instances, Iterate
from l2o.unroll import unroll

ROWS = 20_000
"""The most rows of one unroll; more would not fit the processor's cache."""
NUMBERS = 4_000_000
"""The most numbers in θ and iterates of one unroll, the limit for large matrices and networks."""
CHUNK = 50
"""Iterations between two looks at which rows have diverged, and need no more work."""
EXTENSION, ROUNDS = 4, 4
"""By how many values a grid is extended beyond a best value at its edge, and how often."""

Point = tuple[float, ...]


class Score(NamedTuple):
    """How well one point of a grid does on the validation set."""

    sr1: float
    """Share of trajectories whose mean distance over the tail is below 2e-2."""
    tail_median: float
    """Median over the trajectories of that mean distance."""
    diverged: float
    """Share of the trajectories."""

    @property
    def rank(self) -> tuple[float, float]:
        """Lowest is best: by SR1 first, by the median distance among equals."""
        return (-self.sr1, self.tail_median)


class MeasureScore(NamedTuple):
    """The same where the problem has measures of its own."""

    mean: float
    """The first measure as a mean over tail and trajectories, its sign such that less is better."""
    diverged: float
    """Share of the trajectories."""

    @property
    def rank(self) -> tuple[float, float]:
        """Lowest is best: without divergence first, by the mean among equals."""
        return (self.diverged, self.mean)


@dataclass(frozen=True)
class Tuning:
    """The result of a grid search.

    Attributes:
        method: The method with the best hyperparameters.
        best: These hyperparameters by name.
        at_edge: Those whose best value is still the last one tried, with others beyond it.
        names: The tuned hyperparameters, in the order of a point.
        scores: Every point tried, with its score.
    """

    method: HandDesigned[Any]
    best: dict[str, float]
    at_edge: list[str]
    names: list[str]
    scores: dict[Point, Score | MeasureScore]


@torch.no_grad()
def tune(
    method: HandDesigned[Any],
    instances: Instances,
    start: Iterate,
    iterations: int,
    budget: int | None = None,
    on_points: Callable[[int], object] = lambda points: None,
) -> Tuning:
    """Tries every point of a method's grid; a grid with its best at an edge is extended.

    Of more points than the budget has left, as many as it has are tried, chosen at random.

    Args:
        method: A method with at least one grid.
        instances: B validation instances.
        start: Their starting points.
        iterations: Length of a trajectory.
        budget: How many points are tried at most; None: no limit.
        on_points: Called before a batch of so many points is tried.

    Returns:
        The tuned method and every score. Of equal points the first wins.

    Raises:
        UserError: If there is nothing to tune, or what is given does not fit together.
    """
    start = check_start(method, instances, start)
    checks.count("iterations", iterations)
    if budget is not None:
        checks.count("budget", budget)
    if not isinstance(method, HandDesigned) or not method.grids:
        raise checks.refusal("method", "a hand-designed method with grids", method)
    names, grids = list(method.grids), list(method.grids.values())
    margins = [(0, 0)] * len(names)
    scores: dict[Point, Score | MeasureScore] = {}
    for _ in range(1 + ROUNDS):
        axes = [grid.values(*margin) for grid, margin in zip(grids, margins, strict=True)]
        points = [point for point in itertools.product(*axes) if point not in scores]
        if budget is not None:
            points = _chosen(points, budget - len(scores))
        on_points(len(points))
        scores |= score_points(method, names, points, instances, start, iterations)
        best = min(scores, key=lambda point: scores[point].rank)
        wider = [_widened(*where) for where in zip(grids, margins, axes, best, strict=True)]
        at_edge = [name for name, old, new in zip(names, margins, wider, strict=True) if old != new]
        if not at_edge:
            break
        margins = wider
    chosen = dict(zip(names, best, strict=True))
    tuned: Any = replace(method, **chosen)  # type: ignore[type-var]
    return Tuning(tuned, chosen, at_edge, names, scores)


def score_points(
    method: HandDesigned[Any],
    names: Sequence[str],
    points: Sequence[Point],
    instances: Instances,
    start: Iterate,
    iterations: int,
) -> dict[Point, Score | MeasureScore]:
    """The score of each point; as many points at once as `ROWS` and `NUMBERS` allow.

    Args:
        method: The method.
        names: The hyperparameters that a point gives.
        points: Their values.
        instances: B instances.
        start: Their starting points.
        iterations: Length of a trajectory.
    """
    count = len(instances)
    numbers = sum(value.numel() for value in (*instances.theta.values(), *start))
    together = max(1, min(ROWS // count, NUMBERS // max(1, numbers)))
    scores: dict[Point, Score | MeasureScore] = {}
    for first in range(0, len(points), together):
        batch = points[first : first + together]
        values = torch.tensor(batch, dtype=start.x.dtype).repeat_interleave(count, dim=0)
        rows = {name: values[:, i : i + 1] for i, name in enumerate(names)}
        x, y = (point.repeat(len(batch), 1) for point in start)
        tail = _tail_means(method, rows, instances.repeat(len(batch)), Iterate(x, y), iterations)
        for point, tails in zip(batch, tail.view(len(batch), count), strict=True):
            scores[point] = _score(tails, instances.problem.assessed)
    return scores


def _score(tails: Tensor, assessed: bool) -> Score | MeasureScore:
    """The score of a point from its tail means, infinite where a trajectory diverged."""
    lost = tails.isinf()
    if assessed:
        sound = tails[~lost]
        return MeasureScore(sound.mean().item() if len(sound) else math.inf, _share(lost))
    return Score(_share(tails < ACCURACY), median(tails).item(), _share(lost))


def _tail_means(
    method: HandDesigned[Any],
    values: dict[str, Tensor],
    instances: Instances,
    start: Iterate,
    iterations: int,
) -> Tensor:
    """The mean of `_far` for each row over its tail, infinite where it diverges, (P · B,).

    Rows that have diverged are left out of the rest of the unroll.
    """
    tail = max(1, int(TAIL * iterations))
    means = torch.full((len(instances),), torch.inf, dtype=torch.double)
    rows, total = torch.arange(len(instances)), torch.zeros(len(instances), dtype=torch.double)
    iterate, state, looks = start, None, 0
    record = not instances.problem.assessed
    for begin in range(0, iterations, CHUNK):
        length = min(CHUNK, iterations - begin)
        optimizer: Any = replace(method, **values)  # type: ignore[type-var]
        trajectory = unroll(
            optimizer, instances, iterate, length, state=state, first=begin, record=record
        )
        x, y = trajectory.x[1:], trajectory.y[1:]
        lost = instances.diverged(x, y).any(0)
        before_tail = max(0, iterations - tail - begin)
        if before_tail < length:
            if record:
                x, y = x[before_tail:], y[before_tail:]
            far = _far(instances, x, y, lost)
            total, looks = total + far.double().sum(0).cpu(), looks + len(far)
        iterate, state = trajectory.last, trajectory.state
        if lost.any():
            kept = (~lost).nonzero().squeeze(1)
            rows, total = rows[kept], total[kept]
            values = {name: value[kept] for name, value in values.items()}
            instances = instances.select(kept)
            iterate = Iterate(iterate.x[kept], iterate.y[kept])
            state = map_state(_rows_of(kept), state)
        if not len(rows):
            break
    means[rows] = total / looks
    return means


def _far(instances: Instances, x: Tensor, y: Tensor, lost: Tensor) -> Tensor:
    """How far iterates are from what is wanted: distances, or the first measure of the last one.

    Args:
        instances: B instances.
        x: (T, B, m).
        y: (T, B, n).
        lost: Which have diverged, (B,).

    Returns:
        (T, B), or (1, B) of a measure; the lowest is best.
    """
    if not instances.problem.assessed:
        return torch.hypot(*distances(instances, x, y, lost.expand(len(x), -1)))
    measure = instances.problem.measures[0]
    return measure.costs(measured(instances, measure, Iterate(x[-1], y[-1]), lost)[None])


def _rows_of(kept: Tensor) -> Callable[[Tensor], Tensor]:
    """The function that keeps certain rows of a tensor."""
    return lambda part: part[kept]


def _chosen(points: list[Point], count: int) -> list[Point]:
    """A random choice of at most so many points, in their order."""
    order = torch.randperm(len(points), generator=generator(0, "tuning"))[:count]
    return [points[place] for place in sorted(order.tolist())]


def _widened(
    grid: Grid, margin: tuple[int, int], tried: Sequence[float], best: float
) -> tuple[int, int]:
    """The margin with more values beyond the best one, if it is the last on a side."""
    before, after = margin
    if best == tried[0] and grid.values(before + EXTENSION, after)[0] < best:
        before += EXTENSION
    if best == tried[-1] and grid.values(before, after + EXTENSION)[-1] > best:
        after += EXTENSION
    return before, after


def _share(which: Tensor) -> float:
    return which.double().mean().item()

"""Runs an optimizer on instances and measures how far it gets.

Axes: T iterations, B trajectories.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from l2o.evaluation.metrics import Measurements
from l2o.games import join
from l2o.io import checks
from l2o.io.seeds import generator
from l2o.norms import norm
from l2o.optimizers import Optimizer, tensors
from l2o.optimizers.base import check_start
from l2o.problems import Instances, Iterate, Problem
from l2o.unroll import check_generator, unroll

CHUNK = 20
"""Iterations between two computations of distances; batched like this they cost next to nothing."""


@dataclass(frozen=True)
class EvaluationSettings:
    """The size of the test.

    Attributes:
        instances: Test instances.
        starts: Starting points of each instance.
        iterations: Length of a trajectory.
    """

    instances: int = 100
    starts: int = 20
    iterations: int = 1000

    def __post_init__(self) -> None:
        for name in ("instances", "starts", "iterations"):
            checks.count(name, getattr(self, name))

    def numbers(self, problem: Problem) -> int:
        """The least count of numbers that a test on a problem holds: θ, iterates and distances."""
        trajectories = self.instances * self.starts
        each = problem.m + problem.n + 2 * self.iterations
        return self.instances * problem.numbers + trajectories * each


def sample_set(
    problem: Problem,
    settings: EvaluationSettings,
    seed: int,
    split: Literal["validation", "test"],
    dtype: torch.dtype = torch.float32,
) -> tuple[Instances, Iterate]:
    """The validation or test instances of a seed, repeated over their starting points.

    Trajectory s · instances + i starts instance i from its s-th starting point.

    Args:
        problem: The family.
        settings: How many instances, and starting points of each.
        seed: Seed of the run.
        split: Which set; the two are drawn independently.
        dtype: The float type to compute in; the instances are the same in every one.

    Returns:
        B = instances · starts instances and starting points.
    """
    instances = problem.sample(settings.instances, generator(seed, split, "instances"))
    count = settings.instances * settings.starts
    start = problem.sample_start(count, generator(seed, split, "start"))
    return instances.to(dtype).repeat(settings.starts), Iterate(*(p.to(dtype) for p in start))


@torch.no_grad()
def measure(
    optimizer: Optimizer[Any],
    instances: Instances,
    start: Iterate,
    iterations: int,
    *,
    generator: torch.Generator | None = None,
    on_chunk: Callable[[int], object] = lambda done: None,
) -> Measurements:
    """Unrolls an optimizer and records distances instead of iterates.

    Args:
        optimizer: Any optimizer.
        instances: B instances.
        start: Starting points, (B, m) and (B, n).
        iterations: T.
        generator: Source of random initial states, see `Optimizer.init`.
        on_chunk: Called now and then with the iterations done since, to show progress.

    Returns:
        The distances of all T + 1 iterates, which trajectories diverged, what the optimizer
        itself counted, and how much it keeps in mind.

    Raises:
        UserError: If what is given does not fit together.
    """
    start = check_start(optimizer, instances, start)
    checks.count("iterations", iterations, minimum=0)
    check_generator(generator)
    state = optimizer.init(instances.at(0), start, generator)
    iterate, lost = start, failed(instances, start.x[None], start.y[None])[0]
    values = [distances(instances, start.x[None], start.y[None], lost[None])]
    for begin in range(0, iterations, CHUNK):
        length = min(CHUNK, iterations - begin)
        trajectory = unroll(optimizer, instances, iterate, length, state=state, first=begin)
        x, y = trajectory.x[1:], trajectory.y[1:]
        losses = lost | (failed(instances, x, y).cumsum(0) > 0)
        values.append(distances(instances, x, y, losses))
        iterate, state, lost = trajectory.last, trajectory.state, losses[-1]
        on_chunk(length)
    quantity = "distance" if instances.problem.has_solutions else "gradient_norm"
    x, y = torch.cat(values, dim=1).cpu()
    counts = {name: values.cpu() for name, values in optimizer.counts(state).items()}
    return Measurements(x, y, lost.cpu(), quantity, counts, state_size(state, start))


def failed(instances: Instances, x: Tensor, y: Tensor) -> Tensor:
    """Where a trajectory has diverged, or costs or their derivatives are undefined, (T, B).

    What is undefined has failed, whatever an optimizer makes of it: one that reads NaN as zero
    walks on blindly.

    Args:
        instances: B instances.
        x: (T, B, m).
        y: (T, B, n).
    """
    costs = _over_time(lambda game, x, y: torch.stack(game.costs(x, y), dim=1), instances, x, y)
    undefined = ~costs.isfinite().all(-1)
    # The fields at both ends tell as much, where costs are defined, at a small part of the price.
    for place in {0, len(x) - 1}:
        undefined[place] |= ~instances.field(join((x[place], y[place]))).isfinite().all(1)
    return undefined | instances.diverged(x, y)


def _over_time(
    function: Callable[[Instances, Tensor, Tensor], Tensor],
    instances: Instances,
    x: Tensor,
    y: Tensor,
) -> Tensor:
    """What a function of B instances makes of every iterate, (T, B, ·)."""
    if not instances.problem.broadcasts:
        return torch.stack([function(instances, *point) for point in zip(x, y, strict=True)])
    whole = function(instances.repeat(len(x)), x.flatten(0, 1), y.flatten(0, 1))
    return whole.view(len(x), -1, whole.shape[-1])


def state_size(state: Any, iterate: Iterate) -> float:
    """Numbers in an optimizer's state for each coordinate of x and y, whatever they are for.

    Numbers that an instance has only once, a step size for instance, are shared out among its
    coordinates; the iterate itself is not counted.
    """
    return sum(part.numel() for part in tensors(state)) / sum(p.numel() for p in iterate)


def distances(instances: Instances, x: Tensor, y: Tensor, lost: Tensor) -> Tensor:
    """How far both players are from a solution over some iterations.

    Args:
        instances: B instances; without declared solutions, gradient norms take their place.
        x: (T, B, m).
        y: (T, B, n).
        lost: Where a trajectory has diverged, (T, B); it is infinitely far from then on.

    Returns:
        (2, T, B).
    """
    if instances.problem.has_solutions:
        values = torch.stack(instances.distance(x, y))
    else:
        fields = _over_time(lambda game, x, y: game.field(join((x, y))), instances, x, y)
        values = torch.stack([norm(player).squeeze(-1) for player in instances.split(fields)])
    return values.masked_fill(lost, torch.inf)

"""Runs an optimizer on instances and measures how far it gets.

Axes: T iterations, B trajectories.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from l2o.divergence import diverged
from l2o.evaluation.metrics import Measurements
from l2o.io import checks
from l2o.io.seeds import generator
from l2o.io.settings import construct
from l2o.optimizers import Optimizer, tensors
from l2o.problems import Instances, Iterate, Problem
from l2o.unroll import unroll

CHUNK = 20
"""Iterations between two looks at the distances: taken together they cost next to nothing."""


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
        sizes = {"instances": self.instances, "starts": self.starts, "iterations": self.iterations}
        checks.memory(sizes, 2 * math.prod(sizes.values()))


def size_of_test(
    settings: object, problem: Problem, name: str = "evaluation"
) -> EvaluationSettings:
    """The size of a test that settings describe, checked against the memory it takes.

    Args:
        settings: The arguments of `EvaluationSettings`.
        problem: What is to be tested on.
        name: The setting's name, for messages.

    Raises:
        UserError: If a value is not allowed, or the test too large.
    """
    size = construct(EvaluationSettings, settings, name)
    coordinates = {f"{name}.instances": size.instances, "coordinates": problem.m + problem.n}
    starts = {**coordinates, f"{name}.starts": size.starts}
    checks.memory(starts, math.prod(starts.values()))
    checks.memory(coordinates, size.instances * problem.numbers)
    return size


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
    """
    # A copy counts its own calls: the noise of noisy instances starts anew for each optimizer.
    instances = copy(instances)
    state = optimizer.init(instances, start, generator)
    iterate, lost = start, diverged(*start) | _undefined(instances, start)
    values = [distances(instances, start.x[None], start.y[None], lost[None])]
    for begin in range(0, iterations, CHUNK):
        length = min(CHUNK, iterations - begin)
        trajectory = unroll(optimizer, instances, iterate, length, state=state)
        x, y = trajectory.x[1:], trajectory.y[1:]
        losses = lost | (diverged(x, y).cumsum(0) > 0)
        values.append(distances(instances, x, y, losses))
        iterate, state, lost = trajectory.last, trajectory.state, losses[-1]
        on_chunk(length)
    quantity = "distance" if instances.problem.has_solutions else "gradient_norm"
    x, y = torch.cat(values, dim=1).cpu()
    counts = {name: values.cpu() for name, values in optimizer.counts(state).items()}
    return Measurements(x, y, lost.cpu(), quantity, counts, state_size(state, start))


def _undefined(instances: Instances, start: Iterate) -> Tensor:
    """Which instances have no finite gradients at the start, as with a parameter that is NaN, (B,).

    They have failed from the first, whatever an optimizer makes of such gradients: one that
    reads them as zeros walks on blindly.
    """
    exact = instances.problem.gradients(*start, instances.theta)
    return ~torch.cat(exact, dim=1).isfinite().all(1)


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
        # Of the problem, not the instances, whose gradients may be noisy.
        exact, theta = instances.problem.gradients, instances.theta
        gradients = (exact(*iterate, theta) for iterate in zip(x, y, strict=True))
        norms = [[torch.linalg.vector_norm(g, dim=-1) for g in pair] for pair in gradients]
        values = torch.stack([torch.stack(player) for player in zip(*norms, strict=True)])
    return values.masked_fill(lost, torch.inf)

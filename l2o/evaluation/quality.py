"""Runs an optimizer on instances and measures it by what their problem declares.

Axes: M measures, K looks, B trajectories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from l2o.evaluation.measure import failed, state_size
from l2o.evaluation.metrics import TAIL, interquartile_mean, interval
from l2o.games import Iterate
from l2o.io import checks
from l2o.optimizers import Optimizer
from l2o.optimizers.base import check_start
from l2o.problems import Instances
from l2o.problems.measures import Measure, Samples
from l2o.unroll import check_generator, unroll

LOOKS = 20
"""How often a run is measured after its start."""
DECAY = 0.99
"""The decay of the average of the iterates, which begins as a uniform one."""


class Assessment(NamedTuple):
    """How good the iterates of a batch of trajectories are by the measures of their problem."""

    measures: tuple[Measure, ...]
    iterations: tuple[int, ...]
    """When it was measured, K of them: 0 first, the last iteration last."""
    last: Tensor
    """Of the iterates themselves, (M, K, B)."""
    averaged: Tensor
    """Of their averages, (M, K, B)."""
    diverged: Tensor
    """(B,)"""
    starts: int
    """Starting points of each instance; B = starts · instances."""
    counts: Mapping[str, Tensor]
    """What the optimizer itself counts, see `Optimizer.counts`, (B,) each."""
    memory: float
    """Numbers that the optimizer's state holds for each coordinate."""
    samples: list[Samples]
    """Of the first trajectory, at each look; none where the problem has no samples."""

    @property
    def score(self) -> float:
        """The first measure, its sign such that the lowest is best, as means over tail and B.

        A diverged trajectory counts as the worst of the others and of all starts.
        """
        costs = self.measures[0].costs(self.last[0].double())
        tail = [when > (1 - TAIL) * self.iterations[-1] for when in self.iterations]
        scores = costs[torch.tensor(tail) if any(tail) else slice(-1, None)].mean(0)
        worst = torch.cat((costs[0], scores[~self.diverged])).max()
        return torch.where(self.diverged, worst, scores).mean().item()

    @property
    def curves(self) -> Tensor:
        """The interquartile means of the iterates' measures at every look, (M, K)."""
        return interquartile_mean(self.last)

    def summary(self) -> dict[str, float]:
        """The numbers of the last look.

        Returns:
            Of each measure `<name>`, the interquartile mean over the trajectories, its 95 %
            bootstrap interval `<name>_low` and `<name>_high`, `<name>_mean`, and
            `<name>_averaged` of the averaged iterate; the share `diverged`, and the means of the
            optimizer's own counts.
        """
        numbers: dict[str, float] = {}
        for place, measure in enumerate(self.measures):
            last, averaged = (values[place, -1].double() for values in (self.last, self.averaged))
            low, high = interval(last.view(self.starts, -1))
            numbers[measure.name] = interquartile_mean(last).item()
            numbers |= {f"{measure.name}_low": low, f"{measure.name}_high": high}
            numbers[f"{measure.name}_mean"] = last.mean().item()
            numbers[f"{measure.name}_averaged"] = interquartile_mean(averaged).item()
        numbers["diverged"] = self.diverged.double().mean().item()
        counts = {name: values.double().mean().item() for name, values in self.counts.items()}
        return {**numbers, **counts}


class _Average:
    """The average of the iterates that it is called with."""

    def __init__(self, start: Iterate) -> None:
        self.iterate, self.count = start, 0

    def __call__(self, iterate: Iterate, state: Any) -> None:
        self.count += 1
        share = max(1 / self.count, 1 - DECAY)
        pairs = zip(self.iterate, iterate, strict=True)
        self.iterate = Iterate(*(torch.lerp(old, new, share) for old, new in pairs))


@torch.no_grad()
def assess(
    optimizer: Optimizer[Any],
    instances: Instances,
    start: Iterate,
    iterations: int,
    *,
    starts: int = 1,
    generator: torch.Generator | None = None,
    on_chunk: Callable[[int], object] = lambda done: None,
) -> Assessment:
    """Unrolls an optimizer and records the measures of iterates and their averages now and then.

    Args:
        optimizer: Any optimizer.
        instances: B instances of a problem with measures, `starts` copies one after another.
        start: Starting points, (B, m) and (B, n).
        iterations: T.
        starts: Starting points of each instance.
        generator: Source of random initial states, see `Optimizer.init`.
        on_chunk: Called now and then with the iterations done since, to show progress.

    Raises:
        UserError: If what is given does not fit together.
    """
    start = check_start(optimizer, instances, start)
    checks.count("iterations", iterations)
    check_generator(generator)
    state = optimizer.init(instances.at(0), start, generator)
    looks = sorted({round(iterations * look / LOOKS) for look in range(LOOKS + 1)})
    iterate, average = start, _Average(start)
    lost = failed(instances, start.x[None], start.y[None])[0]
    last = [_look(instances, start, lost)]
    averaged, samples = [last[0]], _samples(instances, start)
    for begin, end in pairwise(looks):
        trajectory = unroll(
            optimizer,
            instances,
            iterate,
            end - begin,
            state=state,
            first=begin,
            record=False,
            watch=average,
        )
        iterate, state = trajectory.last, trajectory.state
        lost = lost | failed(instances, iterate.x[None], iterate.y[None])[0]
        last.append(_look(instances, iterate, lost))
        averaged.append(_look(instances, average.iterate, lost))
        samples += _samples(instances, iterate)
        on_chunk(end - begin)
    return Assessment(
        instances.problem.measures,
        tuple(looks),
        torch.stack(last, dim=1).cpu(),
        torch.stack(averaged, dim=1).cpu(),
        lost.cpu(),
        starts,
        {name: values.cpu() for name, values in optimizer.counts(state).items()},
        state_size(state, start),
        samples,
    )


def measured(instances: Instances, measure: Measure, iterate: Iterate, lost: Tensor) -> Tensor:
    """A measure of an iterate, (B,); its worst where a trajectory is lost or it is NaN."""
    values = instances.measured(measure, *iterate)
    return values.masked_fill(lost | values.isnan(), measure.worst)


def _look(instances: Instances, iterate: Iterate, lost: Tensor) -> Tensor:
    """Every measure of an iterate, (M, B)."""
    measures = instances.problem.measures
    return torch.stack([measured(instances, measure, iterate, lost) for measure in measures])


def _samples(instances: Instances, iterate: Iterate) -> list[Samples]:
    """What the first trajectory generates, in a list; an empty one if it generates nothing."""
    first = instances.select(slice(0, 1))
    found = instances.problem.samples_of(iterate.x[:1], iterate.y[:1], first.theta)
    return [] if found is None else [Samples(*(part[0].cpu() for part in found))]

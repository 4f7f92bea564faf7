"""Any optimizer applied to any batch of instances.

Axes: T iterations, B instances, m / n coordinates.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from l2o.divergence import bound_gradients, cut_off, diverged
from l2o.optimizers import Optimizer, map_state, tensors
from l2o.problems import Instances, Iterate


class Detach(StrEnum):
    """Where meta-gradients stop; the one place that decides it."""

    NONE = "none"
    """Nowhere: they flow through iterates, gradients and states."""
    INPUTS = "inputs"
    """At the optimizer's inputs, the dashed lines of the paper's Fig. A4."""
    GREEDY = "greedy"
    """There, and at every iterate after its own half-step: each half-step answers for itself."""


class Trajectory(NamedTuple):
    """The record of an unroll."""

    x: Tensor
    """(T + 1, B, m), the starting point first."""
    y: Tensor
    """(T + 1, B, n)"""
    state: Any
    """The optimizer's state after the last iteration."""

    @property
    def last(self) -> Iterate:
        """The last iterate, (B, m) and (B, n)."""
        return Iterate(self.x[-1], self.y[-1])


def unroll(
    optimizer: Optimizer[Any],
    instances: Instances,
    start: Iterate,
    iterations: int,
    *,
    state: Any = None,
    generator: torch.Generator | None = None,
    detach: Detach = Detach.NONE,
) -> Trajectory:
    """Applies an optimizer for `iterations` iterations and records every iterate.

    Gradients with respect to the optimizer's weights are recorded too, unless called under
    `torch.no_grad()`.

    Args:
        optimizer: Any optimizer.
        instances: B instances.
        start: Starting points, (B, m) and (B, n).
        iterations: T.
        state: Where the optimizer left off; by default it starts afresh.
        generator: Source of random initial states, see `Optimizer.init`.
        detach: Where meta-gradients stop.

    Returns:
        The trajectory of T + 1 iterates, and the final state.
    """
    state = optimizer.init(instances, start, generator) if state is None else state
    seen = instances if detach is Detach.NONE else cast(Instances, _ConstantInputs(instances))
    iterates, iterate = [start], start
    for _ in range(iterations):
        if detach is Detach.GREEDY:
            iterate = Iterate(iterate.x.detach(), iterate.y.detach())
        iterate, state = optimizer.step(seen, iterate, state)
        if detach is Detach.NONE and torch.is_grad_enabled():
            cut_off(iterate, diverged(*iterate))
            bound_gradients((*iterate, *tensors(state)))
        iterates.append(iterate)
    return Trajectory(
        torch.stack([iterate.x for iterate in iterates]),
        torch.stack([iterate.y for iterate in iterates]),
        state,
    )


def detached(trajectory: Trajectory) -> tuple[Iterate, Any]:
    """Where a trajectory ended, iterate and state, cut off from its graph."""
    last = trajectory.last
    return Iterate(last.x.detach(), last.y.detach()), map_state(Tensor.detach, trajectory.state)


class _ConstantInputs:
    """Instances whose derivatives are constants to the optimizer that asks for them."""

    def __init__(self, instances: Instances) -> None:
        self._instances = instances

    def __len__(self) -> int:
        return len(self._instances)

    @torch.no_grad()
    def gradients(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return self._instances.gradients(x, y)

    @torch.no_grad()
    def coupling_xy(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        return self._instances.coupling_xy(x, y, v)

    @torch.no_grad()
    def coupling_yx(self, x: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return self._instances.coupling_yx(x, y, u)

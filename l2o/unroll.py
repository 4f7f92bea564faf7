"""Any optimizer applied to any game.

Axes: T iterations, B instances, m / n coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, Iterate
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.optimizers import Optimizer, map_state, tensors
from l2o.optimizers.base import check_start


class Detach(StrEnum):
    """Where meta-gradients stop."""

    NONE = "none"
    """Nowhere: they flow through iterates, gradients and states."""
    INPUTS = "inputs"
    """At the optimizer's inputs, the dashed lines of the paper's Fig. A4."""
    GREEDY = "greedy"
    """There, and at every iterate after its own half-step: each half-step answers for itself."""


class Trajectory(NamedTuple):
    """The record of an unroll."""

    x: Tensor
    """(T + 1, B, m), the starting point first; (2, B, m) if only the ends were recorded."""
    y: Tensor
    """(T + 1, B, n), or (2, B, n)"""
    state: Any
    """The optimizer's state after the last iteration."""

    @property
    def last(self) -> Iterate:
        """The last iterate, (B, m) and (B, n)."""
        return Iterate(self.x[-1], self.y[-1])


def unroll(
    optimizer: Optimizer[Any],
    game: Game,
    start: Iterate,
    iterations: int,
    *,
    state: Any = None,
    generator: torch.Generator | None = None,
    first: int = 0,
    detach: Detach = Detach.NONE,
    record: bool = True,
    watch: Callable[[Iterate, Any], object] | None = None,
) -> Trajectory:
    """Applies an optimizer for T iterations.

    Gradients with respect to the optimizer's weights and to the start are recorded, exactly,
    unless called under `torch.no_grad()`; where they are not finite, so they come out.

    Args:
        optimizer: Any optimizer.
        game: B instances.
        start: Starting points, (B, m) and (B, n).
        iterations: T.
        state: Where the optimizer left off; by default it starts afresh.
        generator: Source of random initial states, see `Optimizer.init`.
        first: How many iterations were done before, which a stochastic game's draws depend on.
        detach: Where meta-gradients stop.
        record: Whether to keep every iterate, or the first and the last alone.
        watch: Called with each iterate and state as they come.

    Returns:
        The trajectory, and the final state.

    Raises:
        UserError: If what is given does not fit together.
    """
    start = check_start(optimizer, game, start)
    checks.count("iterations", iterations, minimum=0)
    checks.count("first", first, minimum=0)
    detach = Detach(checks.choice("detach", detach, Detach))
    check_generator(generator)
    checks.flag("record", record)
    if watch is not None and not callable(watch):
        raise checks.refusal("watch", "a function of an iterate and a state, or None", watch)
    if state is not None:
        check_state(state, len(game))
    seen = game if detach is Detach.NONE else game.constant()
    state = optimizer.init(seen.at(first), start, generator) if state is None else state
    iterates, iterate = [start], start
    for iteration in range(first, first + iterations):
        if detach is Detach.GREEDY:
            iterate = Iterate(iterate.x.detach(), iterate.y.detach())
        iterate, state = optimizer.step(seen.at(iteration), iterate, state)
        if watch is not None:
            watch(iterate, state)
        if record:
            iterates.append(iterate)
    if not record:
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


def check_generator(generator: object) -> None:
    """Raises UserError unless it is a generator or None."""
    if generator is not None and not isinstance(generator, torch.Generator):
        example = "a generator, as torch.Generator().manual_seed(0), or None"
        raise checks.refusal("generator", example, generator)


def check_state(state: object, count: int) -> None:
    """Raises UserError unless it may be a state of so many instances."""
    known = isinstance(state, tuple | Tensor)
    if not known or any(len(part) != count for part in tensors(state)):
        raise UserError(
            f"state: expected that of an optimizer on {count} instances, as Trajectory.state, got "
            f"{checks.shown(state)}"
        )

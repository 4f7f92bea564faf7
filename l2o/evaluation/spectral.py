"""Exact rates: the spectral radius of a method's iteration where it is one linear map.

Axes: B instances, P grid points, d joint coordinates, D entries of iterate and state together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from l2o.io.errors import UserError
from l2o.optimizers import Optimizer, map_state
from l2o.optimizers.hand_designed import Grid, HandDesigned
from l2o.problems import Instances, Iterate

ROWS = 5_000
"""The most instances times grid points in one batch; each has a matrix."""
ZOOMS = (2.0, 2.0, 1.0, 0.5, 0.25)
"""The widths of the finer grids, in steps of the first one."""
_OFFSETS = torch.linspace(-1, 1, 5, dtype=torch.double)


class BestRate(NamedTuple):
    """The best of a method's grid on each instance."""

    rate: Tensor
    """ρ, (B,)"""
    points: list[dict[str, float]]
    """The hyperparameters that reach it, B of them."""


@torch.no_grad()
def update_matrices(optimizer: Optimizer[Any], instances: Instances) -> Tensor:
    """The matrix U of (z, state) ↦ step(z, state) around the solution z = 0, for each instance.

    Found by applying the step to every unit vector, so that it is the matrix of what is run.

    Args:
        optimizer: An optimizer whose iteration is linear in iterate and state.
        instances: B quadratic instances whose solution is the origin.

    Returns:
        (B, D, D)

    Raises:
        UserError: If the optimizer depends on time, or on anything else that is not linear.
    """
    problem, dtype = instances.problem, next(iter(instances.theta.values())).dtype
    zeros = (torch.zeros(len(instances), k, dtype=dtype) for k in (problem.m, problem.n))
    origin = Iterate(*zeros)
    still = optimizer.init(instances, origin)
    after = _flat(*optimizer.step(instances, origin, still))
    if _flat(origin, still).any() or after.any():
        raise UserError(
            f"{type(optimizer).__name__}: expected a method whose iteration is one linear map; "
            "this one counts time or adapts its step, and has no fixed rate"
        )
    columns = []
    for unit in torch.eye(after.shape[1], dtype=dtype):
        iterate, state = _unflat(unit.expand_as(after), origin, still)
        columns.append(_flat(*optimizer.step(instances, iterate, state)))
    return torch.stack(columns, dim=2)


def spectral_radii(matrices: Tensor) -> Tensor:
    """max |λ| of each matrix, (B,)."""
    radii: Tensor = torch.linalg.eigvals(matrices).abs().amax(-1)
    return radii


def best_rates(method: HandDesigned[Any], instances: Instances) -> BestRate:
    """The smallest spectral radius of a method on each instance by itself.

    First over its grid, then over finer and finer grids around the best point.

    Args:
        method: A method whose iteration is linear.
        instances: B quadratic instances whose solution is the origin.

    Returns:
        Rates, and the hyperparameters that reach them.
    """
    grids = list(method.grids.values())
    count = len(instances)
    points = torch.cartesian_prod(*_axes(grids)).view(-1, 1, len(grids)).expand(-1, count, -1)
    best, rates = _best(method, points, instances)
    for width in ZOOMS:
        offsets = torch.cartesian_prod(*[_OFFSETS * width] * len(grids)).view(-1, 1, len(grids))
        axes = [grid.around(best[:, i], offsets[..., i]) for i, grid in enumerate(grids)]
        best, rates = _best(method, torch.stack(axes, dim=2), instances)
    return BestRate(rates, [dict(zip(method.grids, point, strict=True)) for point in best.tolist()])


def _axes(grids: Sequence[Grid]) -> list[Tensor]:
    return [torch.tensor(grid.values(), dtype=torch.double) for grid in grids]


def _best(method: HandDesigned[Any], points: Tensor, instances: Instances) -> tuple[Tensor, Tensor]:
    """Of P points for each instance, (P, B, hyperparameters), the best, and its rate."""
    count, names = len(instances), list(method.grids)
    radii = []
    for part in torch.split(points, max(1, ROWS // count)):
        values = part.reshape(-1, len(names))
        rows = {name: values[:, i : i + 1] for i, name in enumerate(names)}
        optimizer: Any = replace(method, **rows)  # type: ignore[type-var]
        matrices = update_matrices(optimizer, instances.repeat(len(part)))
        radii.append(spectral_radii(matrices).view(len(part), count))
    rates, places = torch.cat(radii).min(0)
    return points[places, torch.arange(count)], rates


def _flat(iterate: Iterate, state: Any) -> Tensor:
    """Iterate and state side by side, (B, D)."""
    leaves: list[Tensor] = list(iterate)

    def collect(leaf: Tensor) -> Tensor:
        leaves.append(leaf.flatten(1))
        return leaf

    map_state(collect, state)
    return torch.cat(leaves, dim=1)


def _unflat(flat: Tensor, iterate: Iterate, state: Any) -> tuple[Iterate, Any]:
    """The inverse of `_flat`, of the shapes of the given iterate and state."""
    place = 0

    def following(leaf: Tensor) -> Tensor:
        nonlocal place
        begin, place = place, place + leaf[0].numel()
        return flat[:, begin:place].view_as(leaf)

    return map_state(following, iterate), map_state(following, state)

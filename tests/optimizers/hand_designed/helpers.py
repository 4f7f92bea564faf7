"""Runs in joint coordinates, constants of linear games, and the spectra of linear methods.

Axes: T iterations, B instances, m / n coordinates, d = m + n joint coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from l2o import Iterate, unroll
from l2o.evaluation.spectral import spectral_radii, update_matrices
from l2o.io.seeds import generator
from l2o.optimizers import Optimizer
from l2o.problems import Instances, QuadraticGame
from tests.optimizers.hand_designed.games import Dense, Monotone


def monotone_batches(count: int = 20) -> Iterator[tuple[Instances, Tensor]]:
    """Five batches of linear monotone games and starting points."""
    problems = [Monotone(m, n) for m, n in ((1, 1), (2, 3), (4, 2), (5, 5))]
    for problem in [*problems, QuadraticGame(dimension=3)]:
        source = generator(0, problem.m, problem.n)
        instances = problem.sample(count, source).to(torch.double)
        # f = 0, the only game without a Lipschitz constant above zero, is left out.
        instances = instances.select(lipschitz(instances).flatten() > 0)
        z = torch.randn(len(instances), problem.m + problem.n, generator=source)
        yield instances, z.double()


def jacobian(instances: Instances) -> Tensor:
    """M of linear games, (B, d, d)."""
    problem = instances.problem
    units = torch.eye(problem.m + problem.n).double()
    return torch.stack([field(instances, unit.expand(len(instances), -1)) for unit in units], 2)


def lipschitz(instances: Instances) -> Tensor:
    """L of linear games, the largest singular value of M, (B, 1)."""
    return torch.linalg.svdvals(jacobian(instances))[:, :1]


def distance(instances: Instances, z: Tensor) -> Tensor:
    """‖z − z*‖ to the nearest solution of linear games, the null space of M, (B, 1)."""
    matrix = jacobian(instances)
    near = torch.linalg.pinv(matrix, rtol=1e-9) @ matrix @ z.unsqueeze(-1)
    return near.squeeze(-1).norm(dim=1, keepdim=True)


def field(instances: Instances, z: Tensor) -> Tensor:
    """G at z, (..., B, d)."""
    if z.ndim == 2:
        return instances.field(z)
    return torch.stack([field(instances, part) for part in z])


def split(instances: Instances, z: Tensor) -> Iterate:
    m = instances.problem.m
    return Iterate(z[:, :m], z[:, m:])


@torch.no_grad()
def run(optimizer: Optimizer[Any], instances: Instances, z: Tensor, iterations: int) -> Tensor:
    """All iterates, (T + 1, B, d)."""
    trajectory = unroll(optimizer, instances, split(instances, z), iterations)
    return torch.cat((trajectory.x, trajectory.y), dim=-1)


def path(optimizer: Optimizer[Any], game: Dense, z: Tensor, iterations: int) -> list[Tensor]:
    """The iterates after the first of one instance, (d,) each."""
    return list(run(optimizer, game.instances, z[None], iterations)[1:, 0])


def rate(optimizer: Optimizer[Any], game: Instances) -> float:
    """The spectral radius of one step of a linear method on one linear game."""
    return spectral_radii(update_matrices(optimizer, game)).item()


def krylov_minimizers(matrix: Tensor, z: Tensor) -> list[Tensor]:
    """argmin ‖M w‖ over w in z + span{r, M r, …, M^{k−1} r}, r = M z, for k = 1, …, d, (B, d) each.

    By Householder reflections and a singular value decomposition, for matrices (B, d, d).
    """
    start = matrix @ z.unsqueeze(2)
    basis, found = torch.linalg.qr(start).Q, []
    for _ in range(z.shape[1]):
        weights = torch.linalg.pinv(matrix @ basis) @ start
        found.append(z - (basis @ weights).squeeze(2))
        basis = torch.linalg.qr(torch.cat((basis, matrix @ basis[:, :, -1:]), dim=2)).Q
    return found

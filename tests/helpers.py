"""What several tests share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from l2o.io.seeds import generator
from l2o.optimizers import TwinL2O
from l2o.problems import (
    Instances,
    Iterate,
    MatrixGame,
    Problem,
    QuadraticGame,
    RotatedSaddle,
    Saddle,
    Seesaw,
)
from l2o.problems.base import Theta

PROBLEMS: dict[str, Problem] = {
    "saddle": Saddle(m=2, n=3),
    "rotated_saddle": RotatedSaddle(dimension=2),
    "seesaw": Seesaw(a=[0.5, 5.0], b=[0.1, 2.0]),
    "matrix_game": MatrixGame(m=3, n=4),
    "quadratic_game": QuadraticGame(dimension=3),
}


class Cubic(Problem):
    """A problem as a user writes it: an objective and nothing else."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (theta["c"] * x**3).sum(-1) + x.sum(-1) * y.prod(-1) - (y**2).sum(-1)


def double_batch(problem: Problem, count: int, seed: int = 0) -> tuple[Instances, Iterate]:
    """Instances and starting points in double precision."""
    instances = problem.sample(count, generator(seed, "instances")).to(torch.double)
    start = problem.sample_start(count, generator(seed, "start"))
    return instances, Iterate(*(point.double() for point in start))


def small_twin(**settings: Any) -> TwinL2O:
    """A twin of few units in double precision."""
    return TwinL2O(**{"hidden_size": 4, **settings}).double()

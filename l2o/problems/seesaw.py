"""The seesaw of Section 4.1: nonconvex in x, linear in y, with a lattice of solutions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from l2o.problems.base import Problem, Theta


class Seesaw(Problem):
    """f(x, y) = −b y sin(a π x).

    Its solutions are (k/a, 0) for every integer k. Where a b = 0 the objective vanishes
    identically, so that every point is a solution.

    Args:
        a: Range of a, the spatial frequency.
        b: Range of b, the scale.
        start_x: Range of the starting point x₀.
        start_y: Range of the starting point y₀.

    Source: Shen et al. (ICLR 2021), Section 4.1; the seven ranges are those of Table 1.
    """

    broadcasts = True

    def __init__(
        self,
        a: Sequence[float] = (0.9, 1.0),
        b: Sequence[float] = (0.9, 1.0),
        start_x: Sequence[float] = (-0.5, 0.5),
        start_y: Sequence[float] = (-0.5, 0.5),
    ) -> None:
        super().__init__(a=a, b=b, start_x=start_x, start_y=start_y)

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (-theta["b"] * y * torch.sin(math.pi * theta["a"] * x)).sum(-1)

    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        frequency, b = math.pi * theta["a"], theta["b"]
        angle = frequency * x
        return -frequency * b * y * torch.cos(angle), b * torch.sin(angle)

    def coupling_x(self, x: Tensor, y: Tensor, v: Tensor, theta: Theta) -> Tensor:
        frequency = math.pi * theta["a"]
        return -frequency * theta["b"] * torch.cos(frequency * x) * v

    def coupling_y(self, x: Tensor, y: Tensor, u: Tensor, theta: Theta) -> Tensor:
        # Of two scalars, the mixed derivative is the same in either order.
        return -self.coupling_x(x, y, u, theta)

    def jvp(
        self, x: Tensor, y: Tensor, u: Tensor, v: Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        frequency, b = math.pi * theta["a"], theta["b"]
        angle = frequency * x
        mixed = -frequency * b * torch.cos(angle)
        return frequency**2 * b * y * torch.sin(angle) * u + mixed * v, -mixed * u

    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        a = theta["a"]
        trivial = a * theta["b"] == 0
        # For a → 0 the nearest k is 0; the guard keeps 0/0 out of the unused branch.
        x_star = torch.round(a * x) / torch.where(a == 0, 1, a)
        return torch.where(trivial, x, x_star), torch.where(trivial, y, 0)

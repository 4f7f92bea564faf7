"""The quadratic saddles of Section 4.2: one solution, at the origin."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from l2o.io import checks
from l2o.problems.base import Problem, Theta


class Saddle(Problem):
    """f(x, y) = a‖x‖² − b‖y‖².

    Args:
        a: Range of a.
        b: Range of b.
        m: Coordinates of x.
        n: Coordinates of y.
        start_x: Range of each starting coordinate of x.
        start_y: The same for y.

    Source: Shen et al. (ICLR 2021), Section 4.2, footnote 2.
    """

    affine = True
    broadcasts = True

    def __init__(
        self,
        a: Sequence[float] = (0.9, 1.0),
        b: Sequence[float] = (0.9, 1.0),
        m: int = 1,
        n: int = 1,
        start_x: Sequence[float] = (-0.5, 0.5),
        start_y: Sequence[float] = (-0.5, 0.5),
    ) -> None:
        super().__init__(a=a, b=b, m=m, n=n, start_x=start_x, start_y=start_y)

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (theta["a"] * x**2).sum(-1) - (theta["b"] * y**2).sum(-1)

    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return 2 * theta["a"] * x, 2 * theta["b"] * y

    def coupling_x(self, x: Tensor, y: Tensor, v: Tensor, theta: Theta) -> Tensor:
        return torch.zeros_like(x)

    def coupling_y(self, x: Tensor, y: Tensor, u: Tensor, theta: Theta) -> Tensor:
        return torch.zeros_like(y)

    def jvp(
        self, x: Tensor, y: Tensor, u: Tensor, v: Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        return 2 * theta["a"] * u, 2 * theta["b"] * v

    def resolvent(
        self, x: Tensor, y: Tensor, step: float | Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        return x / (1 + 2 * step * theta["a"]), y / (1 + 2 * step * theta["b"])

    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(x), torch.zeros_like(y)


class RotatedSaddle(Saddle):
    """f(x, y) = a‖x‖² − b‖y‖² + 2⟨x, y⟩, with m = n.

    Args:
        a: Range of a.
        b: Range of b.
        dimension: Coordinates of x and of y.
        start_x: Range of each starting coordinate of x.
        start_y: The same for y.

    Source: Shen et al. (ICLR 2021), Section 4.2.
    """

    def __init__(
        self,
        a: Sequence[float] = (0.9, 1.0),
        b: Sequence[float] = (0.9, 1.0),
        dimension: int = 1,
        start_x: Sequence[float] = (-0.5, 0.5),
        start_y: Sequence[float] = (-0.5, 0.5),
    ) -> None:
        checks.count("dimension", dimension)
        super().__init__(a=a, b=b, m=dimension, n=dimension, start_x=start_x, start_y=start_y)

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return super().objective(x, y, theta) + 2 * (x * y).sum(-1)

    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return 2 * (theta["a"] * x + y), 2 * (theta["b"] * y - x)

    def coupling_x(self, x: Tensor, y: Tensor, v: Tensor, theta: Theta) -> Tensor:
        return 2 * v

    def coupling_y(self, x: Tensor, y: Tensor, u: Tensor, theta: Theta) -> Tensor:
        return -2 * u

    def jvp(
        self, x: Tensor, y: Tensor, u: Tensor, v: Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        return 2 * (theta["a"] * u + v), 2 * (theta["b"] * v - u)

    def resolvent(
        self, x: Tensor, y: Tensor, step: float | Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        # Each coordinate is a system of two equations: x' + 2α(a x' + y') = x,
        # y' − 2α(x' − b y') = y.
        across = 2 * step
        own_x, own_y = 1 + across * theta["a"], 1 + across * theta["b"]
        determinant = own_x * own_y + across * across
        return (own_y * x - across * y) / determinant, (own_x * y + across * x) / determinant

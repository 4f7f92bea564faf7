"""Bilinear matrix games of Section 4.2, of any size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from l2o import checks
from l2o.problems.base import Problem, Theta, uniform


class MatrixGame(Problem):
    """f(x, y) = xᵀA y with A of shape m × n and entries Bernoulli(p) · U[low, high].

    The solutions are all (x*, y*) with Aᵀx* = 0 and A y* = 0, so a singular A has a whole
    subspace of them.

    Args:
        m: Rows of A, coordinates of x.
        n: Columns of A, coordinates of y.
        p: Probability that an entry is not masked to zero.
        low: Lower end of the entries' uniform distribution.
        high: Upper end of it.
        settings: Starting ranges, see `Problem`.

    Source: Shen et al. (ICLR 2021), Section 4.2 (m = n = 5, p = 0.5, U[−1, 1]).
    """

    def __init__(
        self,
        m: int = 5,
        n: int = 5,
        p: float = 0.5,
        low: float = -1.0,
        high: float = 1.0,
        **settings: Any,
    ) -> None:
        super().__init__(m=m, n=n, **settings)
        self.p = checks.number("p", p, minimum=0, maximum=1)
        self.entries = checks.value_range("low, high", [low, high])

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        shape = (count, self.m, self.n)
        kept = torch.rand(shape, generator=generator) < self.p
        matrix = uniform(self.entries, shape, generator) * kept
        left, right = null_projectors(matrix)
        return {"A": matrix, "null_x": left, "null_y": right}

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x * _product(theta["A"], y)).sum(-1)

    def gradients(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return _product(theta["A"], y), _product(theta["A"].mT, x)

    def coupling_xy(self, x: Tensor, y: Tensor, v: Tensor, theta: Theta) -> Tensor:
        return _product(theta["A"], v)

    def coupling_yx(self, x: Tensor, y: Tensor, u: Tensor, theta: Theta) -> Tensor:
        return _product(theta["A"].mT, u)

    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return _product(theta["null_x"], x), _product(theta["null_y"], y)


def null_projectors(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Orthogonal projectors on the null spaces of Aᵀ and of A.

    Args:
        matrix: A, (B, m, n).

    Returns:
        Projectors of shapes (B, m, m) and (B, n, n), of the type of A.
    """
    # In double precision a singular value of zero is told apart from a small one.
    u, s, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    tolerance = max(matrix.shape[-2:]) * torch.finfo(s.dtype).eps * s[..., :1]
    kept = (s > tolerance).unsqueeze(-1)
    u, v = u * kept.mT, vh.mT * kept.mT
    left = torch.eye(u.shape[-2], dtype=u.dtype) - u @ u.mT
    right = torch.eye(v.shape[-2], dtype=v.dtype) - v @ v.mT
    return left.to(matrix.dtype), right.to(matrix.dtype)


def _product(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrix times vector for each instance: (B, m, n) and (..., B, n) give (..., B, m)."""
    if vector.ndim == 2:
        return (matrix @ vector.unsqueeze(-1)).squeeze(-1)
    return torch.einsum("bij,...bj->...bi", matrix, vector)

"""Bilinear matrix games of Section 4.2, of any size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.problems.base import Problem, Theta, product, uniform


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
        start_x: Range of each starting coordinate of x.
        start_y: The same for y.

    Raises:
        UserError: If a setting is not allowed.

    Source: Shen et al. (ICLR 2021), Section 4.2 (m = n = 5, p = 0.5, U[−1, 1]).
    """

    affine = True
    broadcasts = True

    def __init__(
        self,
        m: int = 5,
        n: int = 5,
        p: float = 0.5,
        low: float = -1.0,
        high: float = 1.0,
        start_x: Sequence[float] = (-0.5, 0.5),
        start_y: Sequence[float] = (-0.5, 0.5),
    ) -> None:
        super().__init__(m=m, n=n, start_x=start_x, start_y=start_y)
        self.p = checks.number("p", p, minimum=0, maximum=1)
        checks.number("high", high, minimum=-checks.WIDEST, maximum=checks.WIDEST)
        checks.number("low", low, minimum=-checks.WIDEST, maximum=checks.WIDEST)
        if low > high:
            raise UserError(f"low: expected at most high ({high}), got {low}")
        self.entries = float(low), float(high)

    @property
    def numbers(self) -> int:
        return self.m * self.n + self.m + self.n

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        shape = (count, self.m, self.n)
        kept = torch.rand(shape, generator=generator) < self.p
        return {"A": uniform(self.entries, shape, generator) * kept}

    def derived(self, theta: Theta) -> Theta:
        return singular_vectors(theta["A"])

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x * product(theta["A"], y)).sum(-1)

    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return product(theta["A"], y), -product(theta["A"].mT, x)

    def coupling_x(self, x: Tensor, y: Tensor, v: Tensor, theta: Theta) -> Tensor:
        return product(theta["A"], v)

    def coupling_y(self, x: Tensor, y: Tensor, u: Tensor, theta: Theta) -> Tensor:
        return -product(theta["A"].mT, u)

    def jvp(
        self, x: Tensor, y: Tensor, u: Tensor, v: Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        return product(theta["A"], v), -product(theta["A"].mT, u)

    def resolvent(
        self, x: Tensor, y: Tensor, step: float | Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        # Along each pair of singular vectors: p' + ασ q' = p, q' − ασ p' = q.
        scale = step * theta["s"]
        p, q = product(theta["U"].mT, x), product(theta["V"].mT, y)
        shrunk_p, shrunk_q = (p - scale * q) / (1 + scale**2), (q + scale * p) / (1 + scale**2)
        return x + product(theta["U"], shrunk_p - p), y + product(theta["V"], shrunk_q - q)

    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        kept = theta["s"] > 0
        p, q = product(theta["U"].mT, x) * kept, product(theta["V"].mT, y) * kept
        return x - product(theta["U"], p), y - product(theta["V"], q)


def singular_vectors(matrix: Tensor) -> Theta:
    """The singular value decomposition A = U diag(s) Vᵀ, with r = min(m, n).

    Args:
        matrix: A, (B, m, n).

    Returns:
        `U` (B, m, r), `s` (B, r) and `V` (B, n, r), of the type of A; singular values that are
        zero but for rounding are exactly zero.
    """
    # In double precision a singular value of zero is told apart from a small one.
    u, s, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    tolerance = max(matrix.shape[-2:]) * torch.finfo(s.dtype).eps * s[..., :1]
    parts = {"U": u, "s": s * (s > tolerance), "V": vh.mT}
    return {name: part.to(matrix.dtype) for name, part in parts.items()}

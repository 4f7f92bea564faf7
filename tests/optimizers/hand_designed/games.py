"""Games whose constants are known, and references written with dense derivatives.

Axes: B instances, m / n coordinates, d = m + n joint coordinates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from l2o.io.seeds import generator
from l2o.problems import Instances, MatrixGame, Problem, Seesaw
from l2o.problems.base import Theta, product


class Monotone(Problem):
    """f = ½xᵀP x + xᵀA y − ½yᵀQ y with P, Q ≥ 0, so that G is linear and monotone.

    Singular values lie between 0.03 and 3; each is kept with probability `kept`, else zero, and
    so are P and Q as a whole: some games are bilinear, and most have a subspace of solutions.
    """

    affine = True

    def __init__(self, m: int, n: int, kept: float = 0.7) -> None:
        super().__init__(m=m, n=n)
        self.kept = kept

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        m, n = self.m, self.n
        w, v, a = (self._matrix(count, *size, generator) for size in ((m, m), (n, n), (m, n)))
        own = torch.rand(2, count, 1, 1, generator=generator) < self.kept
        return {"P": own[0] * w @ w.mT, "Q": own[1] * v @ v.mT, "A": a}

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        own = (x * product(theta["P"], x)).sum(-1) - (y * product(theta["Q"], y)).sum(-1)
        return own / 2 + (x * product(theta["A"], y)).sum(-1)

    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        grad_x = product(theta["P"], x) + product(theta["A"], y)
        return grad_x, product(theta["Q"], y) - product(theta["A"].mT, x)

    def _matrix(self, count: int, rows: int, columns: int, source: torch.Generator) -> Tensor:
        rank = min(rows, columns)
        left, right = (
            torch.linalg.qr(torch.randn(count, size, rank, generator=source).double())[0]
            for size in (rows, columns)
        )
        draws = torch.rand(2, count, 1, rank, generator=source).double()
        values = 10 ** (2 * draws[0] - 1.5) * (draws[1] <= self.kept)
        return left * values @ right.mT


class Smooth(Problem):
    """A game that is neither quadratic nor symmetric, m = 2 and n = 3, concave in y near zero."""

    def __init__(self) -> None:
        super().__init__(m=2, n=3, c=[0.5, 1.5])

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        matrix = torch.tensor([[1.0, -2.0, 0.5], [0.3, 1.0, 2.0]], dtype=x.dtype)
        across = (torch.sin(x) @ matrix * (y + y**2 / 8)).sum(-1)
        return theta["c"].squeeze(1) * across + (x**4).sum(-1) - (y**2).sum(-1) - (y**4).sum(-1)


class Dense:
    """One instance as functions of a vector z = (x, y), with its derivatives written out."""

    def __init__(self, instances: Instances) -> None:
        self.instances, self.m = instances, instances.problem.m
        self.sign = torch.ones(self.m + instances.problem.n).double()
        self.sign[self.m :] = -1

    def objective(self, z: Tensor) -> Tensor:
        return self.instances.costs(z[None, : self.m], z[None, self.m :]).f[0]

    def gradient(self, z: Tensor) -> Tensor:
        return torch.autograd.functional.jacobian(self.objective, z)

    def hessian(self, z: Tensor) -> Tensor:
        return torch.autograd.functional.hessian(self.objective, z)

    def field(self, z: Tensor) -> Tensor:
        """G = (∇ₓf, −∇_y f)."""
        return self.sign * self.gradient(z)

    def jacobian(self, z: Tensor) -> Tensor:
        """M, the Jacobian of G."""
        return self.sign[:, None] * self.hessian(z)

    def split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z[: self.m], z[self.m :]

    def coupling(self, z: Tensor) -> Tensor:
        """∇²xy f, (m, n)."""
        return self.hessian(z)[: self.m, self.m :]


def smooth_game() -> tuple[Dense, Tensor]:
    """One instance of `Smooth` and a starting point."""
    instances = Smooth().sample(1, generator(0, "smooth")).to(torch.double)
    return Dense(instances), torch.tensor([0.4, -0.3, 0.2, 0.5, -0.1]).double()


def matrix_game(matrix: Tensor) -> Instances:
    """f = xᵀA y for each A of (B, m, n)."""
    problem = MatrixGame(m=matrix.shape[1], n=matrix.shape[2])
    return Instances(problem, {"A": matrix, **problem.derived({"A": matrix})}, len(matrix))


def random_matrix_games(count: int, m: int, n: int) -> Instances:
    """Masked matrices, singular ones among them."""
    return MatrixGame(m=m, n=n).sample(count, generator(0, m, n)).to(torch.double)


def bilinear() -> Instances:
    """f = xy."""
    return matrix_game(torch.ones(1, 1, 1).double())


def scalar_quadratic(mu: float, sigma: float) -> Instances:
    """f = μx²/2 + σxy − μy²/2."""
    values = {"P": mu, "A": sigma, "Q": mu}
    theta = {name: torch.tensor([[[value]]], dtype=torch.double) for name, value in values.items()}
    return Instances(Monotone(1, 1), theta, 1)


def scaled_seesaw(factor: float) -> tuple[Instances, Tensor]:
    """Twenty seesaws, f times the factor, and their starting points."""
    instances = Seesaw(a=[0.5, 2.0]).sample(20, generator(0, "seesaw")).to(torch.double)
    instances.theta["b"] = factor * instances.theta["b"]
    return instances, torch.rand(20, 2, generator=generator(0, "start")).double() - 0.5

"""Quadratic games between cooperation and conflict."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.problems.base import Problem, Theta, product


class QuadraticGame(Problem):
    """f(x, y) = (1 − c)·(½ xᵀP x − ½ yᵀQ y) + c·xᵀA y, with m = n.

    c = 0 is cooperative, two minimizations that do not touch; c = 1 is adversarial, a bilinear
    game. P and Q are symmetric; their eigenvalues and the singular values of A are spaced
    evenly, on a logarithmic scale, over the spectrum, in bases drawn at random. The only
    solution is the origin.

    Args:
        c: Range of the mixture c, within [0, 1].
        spectrum: Smallest and largest eigenvalue, above 0.
        dimension: Coordinates of x and of y.
        start_x: Range of each starting coordinate of x.
        start_y: The same for y.

    Raises:
        UserError: If c leaves [0, 1] or the spectrum is not positive.

    Source: the games of the LEAD experiments (Hemmat et al. 2023), rebuilt.
    """

    affine = True
    broadcasts = True

    def __init__(
        self,
        c: Sequence[float] = (0.0, 1.0),
        spectrum: Sequence[float] = (0.25, 4.0),
        dimension: int = 5,
        start_x: Sequence[float] = (-0.5, 0.5),
        start_y: Sequence[float] = (-0.5, 0.5),
    ) -> None:
        checks.count("dimension", dimension)
        super().__init__(c=c, m=dimension, n=dimension, start_x=start_x, start_y=start_y)
        low, high = self.ranges["c"]
        if low < 0 or high > 1:
            raise UserError(f"c: expected a range within [0, 1], got [{low:g}, {high:g}]")
        self.spectrum = checks.value_range("spectrum", spectrum)
        checks.positive("spectrum", self.spectrum[0])

    @property
    def numbers(self) -> int:
        return 3 * self.m**2 + 2 * self.m

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        low, high = (torch.tensor(end).log() for end in self.spectrum)
        values = torch.linspace(low, high, self.m).exp()
        p, q, left, right = (self._basis(count, generator) for _ in range(4))
        return {
            **super().sample_parameters(count, generator),
            "P": _symmetric(p * values @ p.mT),
            "Q": _symmetric(q * values @ q.mT),
            "A": left * values @ right.mT,
        }

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        grad_x, descent_y = self.field(x, y, theta)
        return ((x * grad_x).sum(-1) - (y * descent_y).sum(-1)) / 2

    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return self.jvp(x, y, x, y, theta)

    def coupling_x(self, x: Tensor, y: Tensor, v: Tensor, theta: Theta) -> Tensor:
        return theta["c"] * product(theta["A"], v)

    def coupling_y(self, x: Tensor, y: Tensor, u: Tensor, theta: Theta) -> Tensor:
        return -theta["c"] * product(theta["A"].mT, u)

    def jvp(
        self, x: Tensor, y: Tensor, u: Tensor, v: Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        own = 1 - theta["c"]
        return (
            own * product(theta["P"], u) + self.coupling_x(x, y, v, theta),
            own * product(theta["Q"], v) + self.coupling_y(x, y, u, theta),
        )

    def resolvent(
        self, x: Tensor, y: Tensor, step: float | Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        own, mixed = (1 - theta["c"]).unsqueeze(-1), theta["c"].unsqueeze(-1) * theta["A"]
        upper = torch.cat((own * theta["P"], mixed), dim=2)
        lower = torch.cat((-mixed.mT, own * theta["Q"]), dim=2)
        scale = step.unsqueeze(-1) if isinstance(step, Tensor) else step
        matrix = scale * torch.cat((upper, lower), dim=1)
        matrix = matrix + torch.eye(2 * self.m, dtype=x.dtype, device=x.device)
        z: Tensor = torch.linalg.solve(matrix, torch.cat((x, y), dim=-1).unsqueeze(-1)).squeeze(-1)
        return z[..., : self.m], z[..., self.m :]

    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(x), torch.zeros_like(y)

    def _basis(self, count: int, generator: torch.Generator) -> Tensor:
        """Orthogonal matrices drawn uniformly, (count, m, m)."""
        normal = torch.randn(count, self.m, self.m, generator=generator)
        q, r = torch.linalg.qr(normal)
        # The signs make the distribution uniform (Mezzadri 2007).
        basis: Tensor = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
        return basis


def _symmetric(matrix: Tensor) -> Tensor:
    """The symmetric part: rounding must not make the gradient differ from Px − Qy."""
    return (matrix + matrix.mT) / 2

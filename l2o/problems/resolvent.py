"""The resolvent (I + αG)⁻¹ where no closed form is known: Newton's method, damped.

Axes: B instances, d = m + n joint coordinates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from l2o.problems.base import Problem, Theta

ITERATIONS = 10
"""Newton steps at most; one is enough where f is quadratic."""
HALVINGS, DECREASE = 6, 0.1
"""How often a Newton step is halved that does not shrink the residual by a tenth of its length."""
TOLERANCE = 50.0
"""The residual to reach, in units of rounding: times the float type's ε and 1 + ‖(x, y)‖."""


@torch.no_grad()
def solve_resolvent(
    problem: Problem, x: Tensor, y: Tensor, step: float | Tensor, theta: Theta
) -> tuple[Tensor, Tensor]:
    """The z' with z' + αG(z') = (x, y), where G = (∇ₓf, −∇_y f).

    Newton's method from (x, y) with the dense Jacobian I + αM, each step halved until the
    residual shrinks. Where G is monotone the solution is unique. Where it is not and α is
    large, there may be several or none; an instance whose residual shrinks no more keeps the
    best point that was found.

    Args:
        problem: The problem; only its gradients and Hessian products are used.
        x: (B, m).
        y: (B, n).
        step: α, a number or (B, 1).
        theta: Parameters of the instances.

    Returns:
        z', shapes (B, m) and (B, n), without a graph.
    """
    m, target = x.shape[1], torch.cat((x, y), dim=1)
    z, rows = target.clone(), torch.arange(len(x), device=x.device)
    tolerance = TOLERANCE * torch.finfo(x.dtype).eps * (1 + _norm(target))
    scale = torch.as_tensor(step, dtype=x.dtype, device=x.device).expand(len(x), 1)
    for _ in range(ITERATIONS):
        # Only rows that are not solved yet; their θ, step and target go with them.
        part = {name: value[rows] for name, value in theta.items()}
        here = _Equation(problem, part, m, scale[rows], target[rows])
        missing = here.residual(z[rows])
        unsolved = _norm(missing) > tolerance[rows]
        if not unsolved.any():
            break
        direction = torch.linalg.solve_ex(here.jacobian(z[rows]), missing.unsqueeze(-1))[0]
        z[rows], moved = here.shortened_step(z[rows], missing, direction.squeeze(-1), unsolved)
        rows = rows[moved]
    return z[:, :m], z[:, m:]


class _Equation(NamedTuple):
    """z' + αG(z') − z = 0, for some instances."""

    problem: Problem
    theta: Theta
    m: int
    step: Tensor
    """α, (B, 1)"""
    target: Tensor
    """z, (B, d)"""

    def residual(self, z: Tensor) -> Tensor:
        """The left-hand side at z', (B, d)."""
        grad_x, grad_y = self.problem.gradients(z[:, : self.m], z[:, self.m :], self.theta)
        return z + self.step * torch.cat((grad_x, -grad_y), dim=1) - self.target

    def jacobian(self, z: Tensor) -> Tensor:
        """Its derivative I + αM, (B, d, d); M is the Hessian of f with the rows of y negated."""
        x, y = z[:, : self.m], z[:, self.m :]
        columns = []
        for unit in torch.eye(z.shape[1], dtype=z.dtype, device=z.device):
            u, v = unit[: self.m].expand_as(x), unit[self.m :].expand_as(y)
            product_x, product_y = self.problem.hessian_product(x, y, u, v, self.theta)
            columns.append(unit + self.step * torch.cat((product_x, -product_y), dim=1))
        return torch.stack(columns, dim=2)

    def shortened_step(
        self, z: Tensor, missing: Tensor, direction: Tensor, waiting: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The longest of the halved Newton steps that shrinks the residual, for each instance.

        Args:
            z: Where to start from, (B, d).
            missing: The residual there, (B, d).
            direction: The Newton step, (B, d).
            waiting: Which instances are to move at all, (B,).

        Returns:
            The new points, and which of them moved.
        """
        before, asked = _norm(missing), waiting
        for halving in range(HALVINGS):
            tried = z - 0.5**halving * direction
            enough = (1 - DECREASE * 0.5**halving) * before
            better = waiting & (_norm(self.residual(tried)) < enough)
            z = torch.where(better.unsqueeze(1), tried, z)
            waiting = waiting & ~better
            if not waiting.any():
                break
        return z, asked & ~waiting


def _norm(z: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(z, dim=1)
    return norm

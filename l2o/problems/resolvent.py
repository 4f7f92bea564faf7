"""The resolvent (I + αG)⁻¹ where no closed form is known: Newton's method, damped.

Axes: B instances, d = m + n joint coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from l2o.problems.base import Problem, Theta

ITERATIONS = 30
"""Newton steps at most; one is enough where f is quadratic."""
HALVINGS = 8
"""How often a Newton step that does not shrink the residual is halved."""
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
    m = x.shape[1]
    target = torch.cat((x, y), dim=1)

    def residual(z: Tensor) -> Tensor:
        grad_x, grad_y = problem.gradients(z[:, :m], z[:, m:], theta)
        return z + step * torch.cat((grad_x, -grad_y), dim=1) - target

    z, missing = target, residual(target)
    tolerance = TOLERANCE * torch.finfo(x.dtype).eps * (1 + _norm(target))
    unsolved = _norm(missing) > tolerance
    for _ in range(ITERATIONS):
        if not unsolved.any():
            break
        scale = step.unsqueeze(-1) if isinstance(step, Tensor) else step
        matrix = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        matrix = matrix + scale * _jacobian(problem, z[:, :m], z[:, m:], theta)
        direction = torch.linalg.solve_ex(matrix, missing.unsqueeze(-1))[0].squeeze(-1)
        z, missing, moved = _shortened_step(z, missing, direction, unsolved, residual)
        unsolved = moved & (_norm(missing) > tolerance)
    return z[:, :m], z[:, m:]


def _shortened_step(
    z: Tensor,
    missing: Tensor,
    direction: Tensor,
    unsolved: Tensor,
    residual: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """The longest of the halved Newton steps that shrinks the residual, for each instance.

    Returns:
        The new points, their residuals, and which instances moved.
    """
    before, waiting = _norm(missing), unsolved
    for halving in range(HALVINGS):
        tried = z - 0.5**halving * direction
        left = residual(tried)
        better = waiting & (_norm(left) < before)
        z = torch.where(better.unsqueeze(1), tried, z)
        missing = torch.where(better.unsqueeze(1), left, missing)
        waiting = waiting & ~better
        if not waiting.any():
            break
    return z, missing, unsolved & ~waiting


def _norm(z: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(z, dim=1)
    return norm


def _jacobian(problem: Problem, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
    """M, the Jacobian of G, (B, d, d): the Hessian of f with the rows of y negated."""
    columns = []
    for unit in torch.eye(x.shape[1] + y.shape[1], dtype=x.dtype, device=x.device):
        u, v = unit[: x.shape[1]].expand_as(x), unit[x.shape[1] :].expand_as(y)
        product_x, product_y = problem.hessian_product(x, y, u, v, theta)
        columns.append(torch.cat((product_x, -product_y), dim=1))
    return torch.stack(columns, dim=2)

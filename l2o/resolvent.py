"""The resolvent (I + αG)⁻¹ where no closed form is known: Newton's method, damped.

Axes: B instances, d = m + n joint coordinates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from l2o.norms import norm

if TYPE_CHECKING:
    from l2o.games import Game

NEWTON_STEPS = 10
"""Newton steps at most; one is enough where the field is affine."""
HALVINGS, DECREASE = 6, 0.1
"""How often a Newton step is halved that does not shrink the residual by a tenth of its length."""
TOLERANCE = 50.0
"""The residual to reach, in units of rounding: times the float type's ε and 1 + ‖z‖."""


def solve_resolvent(game: Game, z: Tensor, step: float | Tensor) -> Tensor:
    """The z' with z' + αG(z') = z.

    Newton's method from z with the dense Jacobian I + αJ, each step halved until the residual
    shrinks. Where G is monotone the solution is unique. Where it is not and α is large, there may
    be several or none; an instance whose residual shrinks no more keeps the best point that was
    found. Its derivatives are those of the implicit function, dz' = (I + αJ)⁻¹(dz − G dα).

    Args:
        game: B instances; only its field and products with its Jacobian are used.
        z: (B, d).
        step: α, a number or (B, 1).

    Returns:
        z', (B, d), which can be differentiated once.
    """
    scale = torch.as_tensor(step, dtype=z.dtype, device=z.device).expand(len(z), 1)
    with torch.no_grad():
        solution = _newton(game, z.detach(), scale.detach())
    if not torch.is_grad_enabled():
        return solution
    # One more Newton step has the right derivatives; its value, rounding alone, is taken back.
    here = _Equation(game, scale, z)
    with torch.no_grad():
        jacobian = here.jacobian(solution)
    missing = here.residual(solution).unsqueeze(-1)
    correction = torch.linalg.solve_ex(jacobian, missing)[0].squeeze(-1)
    correction = torch.where(correction.isfinite(), correction, 0)
    return solution - (correction - correction.detach())


def _newton(game: Game, target: Tensor, scale: Tensor) -> Tensor:
    """z', (B, d), from the target z and α, (B, 1)."""
    z, rows = target.clone(), torch.arange(len(target), device=target.device)
    tolerance = TOLERANCE * torch.finfo(z.dtype).eps * (1 + norm(target))
    for _ in range(NEWTON_STEPS):
        # Only rows that are not solved yet.
        here = _Equation(game.select(rows), scale[rows], target[rows])
        missing = here.residual(z[rows])
        unsolved = norm(missing) > tolerance[rows]
        if not unsolved.any():
            break
        direction = torch.linalg.solve_ex(here.jacobian(z[rows]), missing.unsqueeze(-1))[0]
        z[rows], moved = here.shortened_step(z[rows], missing, direction.squeeze(-1), unsolved)
        rows = rows[moved.squeeze(1)]
        if not len(rows):
            break
    return z


class _Equation(NamedTuple):
    """z' + αG(z') − z = 0, for some instances."""

    game: Game
    step: Tensor
    """α, (B, 1)"""
    target: Tensor
    """z, (B, d)"""

    def residual(self, z: Tensor) -> Tensor:
        """The left-hand side at z', (B, d)."""
        return z + self.step * self.game.field(z) - self.target

    def jacobian(self, z: Tensor) -> Tensor:
        """Its derivative I + αJ, (B, d, d)."""
        columns = [
            unit + self.step * self.game.jvp(z, unit.expand_as(z))
            for unit in torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        ]
        return torch.stack(columns, dim=2)

    def shortened_step(
        self, z: Tensor, missing: Tensor, direction: Tensor, waiting: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The longest of the halved Newton steps that shrinks the residual, for each instance.

        Args:
            z: Where to start from, (B, d).
            missing: The residual there, (B, d).
            direction: The Newton step, (B, d).
            waiting: Which instances are to move at all, (B, 1).

        Returns:
            The new points, and which of them moved, (B, 1).
        """
        before, asked = norm(missing), waiting
        for halving in range(HALVINGS):
            tried = z - 0.5**halving * direction
            enough = (1 - DECREASE * 0.5**halving) * before
            better = waiting & (norm(self.residual(tried)) < enough)
            z = torch.where(better, tried, z)
            waiting = waiting & ~better
            if not waiting.any():
                break
        return z, asked & ~waiting

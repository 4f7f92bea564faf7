"""Follow-the-Ridge: descent of x that keeps y on its ridge of maxima."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from l2o.games import Game, join
from l2o.io.errors import UserError
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import STEP_SIZES, Memoryless, NoState, Value


@dataclass(frozen=True, eq=False)
class FollowTheRidge(Memoryless):
    """x⁺ = x − η_x∇ₓf, y⁺ = y + η_y∇_y f + η_x(∇²yy f)⁻¹∇²yx f ∇ₓf.

    Args:
        step_size: η_x > 0.
        step_size_y: η_y > 0.

    Raises:
        UserError: At the start, where ∇²yy f is singular, as in every bilinear game.

    Source: Wang, Zhang and Ba (ICLR 2020).
    """

    step_size: Value = 0.1
    step_size_y: Value = 0.1

    needs_products = True
    needs_zero_sum = True
    grids = {"step_size": STEP_SIZES, "step_size_y": STEP_SIZES}

    def oracle_calls(self, game: Game) -> OracleCalls:
        # The field, half a pair of coupling products, a product with the Jacobian for each y_j.
        return OracleCalls(1.5 + game.n, start=game.n)

    def begin(self, game: Game, z: Tensor) -> NoState:
        if not game.n:  # x alone descends
            return super().begin(game, z)
        matrix = _hessian_yy(game, z)
        finite = matrix.isfinite().all(dim=2).all(dim=1)[:, None, None]
        identity = torch.eye(matrix.shape[1], dtype=matrix.dtype, device=z.device)
        values = torch.linalg.svdvals(torch.where(finite, matrix, identity).double())
        rounding = matrix.shape[1] * torch.finfo(matrix.dtype).eps
        singular = values[:, -1] <= rounding * values[:, 0]
        if singular.any():
            raise UserError(
                "Follow-the-Ridge: expected an invertible ∇²yy f, but it is singular at the "
                f"start of {int(singular.sum())} of {len(z)} instances, as in every game that is "
                "linear in y; choose another method"
            )
        return super().begin(game, z)

    def moved(self, game: Game, z: Tensor) -> Tensor:
        x, y = game.split(z)
        grad_x, descent_y = game.split(game.field(z))
        if not game.n:
            return x - self.step_size * grad_x
        slope = game.coupling_y(x, y, grad_x).unsqueeze(-1)
        ridge = torch.linalg.solve_ex(_hessian_yy(game, z), slope)[0].squeeze(-1)
        x = x - self.step_size * grad_x
        y = y - self.step_size_y * descent_y + self.step_size * ridge
        return join((x, y))


def _hessian_yy(game: Game, z: Tensor) -> Tensor:
    """∇²yy g, (B, n, n), one product with the Jacobian a column."""
    units = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)[game.m :]
    columns = [game.split(game.jvp(z, unit.expand_as(z))).y for unit in units]
    return torch.stack(columns, dim=2)

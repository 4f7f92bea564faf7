"""Follow-the-Ridge: descent of x that keeps y on its ridge of maxima."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from l2o.io.errors import UserError
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import STEP_SIZES, Hyperparameter, Memoryless, NoState
from l2o.optimizers.hand_designed.game import Game
from l2o.problems import Instances


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

    step_size: Hyperparameter = 0.1
    step_size_y: Hyperparameter = 0.1

    grids = {"step_size": STEP_SIZES, "step_size_y": STEP_SIZES}

    def oracle_calls(self, instances: Instances) -> OracleCalls:
        # The gradient, half a pair of coupling products, a Hessian product for each y_j.
        return OracleCalls(1.5 + instances.problem.n, start=instances.problem.n)

    def begin(self, game: Game, z: Tensor) -> NoState:
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
        grad_x, grad_y = game.instances.gradients(x, y)
        slope = game.instances.coupling_yx(x, y, grad_x).unsqueeze(-1)
        ridge = torch.linalg.solve_ex(_hessian_yy(game, z), slope)[0].squeeze(-1)
        x = x - self.step_size * grad_x
        y = y + self.step_size_y * grad_y + self.step_size * ridge
        return torch.cat((x, y), dim=1)


def _hessian_yy(game: Game, z: Tensor) -> Tensor:
    """∇²yy f, (B, n, n), one Hessian product a column."""
    x, y = game.split(z)
    columns = [
        game.instances.hessian_product(x, y, torch.zeros_like(x), unit.expand_as(y))[1]
        for unit in torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
    ]
    return torch.stack(columns, dim=2)

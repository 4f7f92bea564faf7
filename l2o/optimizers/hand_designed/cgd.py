"""Competitive gradient descent: each step is the solution of a local bilinear game."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from l2o.games import Game, join
from l2o.norms import norm, or_one
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import STEP_SIZES, Memoryless, Value

SOLVER_ITERATIONS = 10
"""Conjugate gradient iterations at most; as many as coordinates are enough."""


@dataclass(frozen=True, eq=False)
class CGD(Memoryless):
    """x⁺ = x − η(I + η²∇²xy∇²yx)⁻¹(∇ₓf + η∇²xy∇_y f), y⁺ = y + η(∇_y f + ∇²yx Δx).

    The second is the same as y's own system. On f = xy it is the proximal point method. The
    system is solved by conjugate gradients with coupling products, exactly if a player has no
    more than 10 coordinates.

    Args:
        step_size: η > 0.

    Source: Schäfer and Anandkumar (NeurIPS 2019).
    """

    step_size: Value = 0.1

    needs_products = True
    needs_zero_sum = True
    grids = {"step_size": STEP_SIZES}

    def oracle_calls(self, game: Game) -> OracleCalls:
        # The gradient, the two halves of a pair around the solver, a pair in each iteration.
        return OracleCalls(2 + solver_iterations(game.m))

    def moved(self, game: Game, z: Tensor) -> Tensor:
        (x, y), eta = game.split(z), self.step_size
        grad_x, descent_y = game.split(game.field(z))

        def system(u: Tensor) -> Tensor:
            return u - eta * eta * game.coupling_x(x, y, game.coupling_y(x, y, u))

        right = grad_x - eta * game.coupling_x(x, y, descent_y)
        dx = -eta * conjugate_gradients(system, right, solver_iterations(x.shape[1]))
        dy = -eta * (descent_y + game.coupling_y(x, y, dx))
        return z + join((dx, dy))


def conjugate_gradients(system: Callable[[Tensor], Tensor], right: Tensor, count: int) -> Tensor:
    """The solution of a symmetric positive definite system, for each instance, from zero.

    Args:
        system: Multiplies (B, m) by the matrices.
        right: The right-hand sides, (B, m).
        count: Iterations.

    Returns:
        (B, m).
    """
    solution, residual, direction = torch.zeros_like(right), right, right
    for _ in range(count):
        image = system(direction)
        squared = norm(residual) ** 2
        # A residual of zero is the solution; without the guard, 0/0 would destroy it.
        length = squared / or_one((direction * image).sum(1, keepdim=True))
        solution = solution + length * direction
        residual = residual - length * image
        direction = residual + norm(residual) ** 2 / or_one(squared) * direction
    return solution


def solver_iterations(coordinates: int) -> int:
    """Conjugate gradient iterations for so many coordinates."""
    return min(coordinates, SOLVER_ITERATIONS)

"""Adaptive competitive gradient descent: CGD with RMSprop's step sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, join
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import HandDesigned, Hyperparameter, Value, times
from l2o.optimizers.hand_designed.cgd import conjugate_gradients, solver_iterations
from l2o.optimizers.hand_designed.rules import BETA2, EPSILON, LEARNING_RATES


class Squares(NamedTuple):
    """The second moments of the gradients."""

    square: Tensor
    """v, (B, d)"""
    time: Tensor
    """t, (B, 1)"""


@dataclass(frozen=True, eq=False)
class ACGD(HandDesigned[Squares]):
    """CGD with the diagonal step sizes A = η/(√v̂ + ε) of each player's RMSprop.

    Δx = −S(I + S∇²xy f A_y∇²yx f S)⁻¹S(∇ₓf + ∇²xy f A_y∇_y f), S = √A_x, and
    Δy = A_y(∇_y f + ∇²yx f Δx), which is the same as y's own system. The system is solved by
    conjugate gradients, exactly if x has no more than 10 coordinates.

    Args:
        step_size: η > 0.
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0.

    Source: Schäfer, Zheng and Anandkumar (ICML 2020), Algorithm 1.
    """

    step_size: Hyperparameter = 1e-3
    beta2: Value = 0.99
    epsilon: Value = 1e-5

    per_player = True
    needs_products = True
    needs_zero_sum = True
    grids = {"step_size": LEARNING_RATES}

    def __post_init__(self) -> None:
        super().__post_init__()
        BETA2.check("beta2", self.beta2)
        EPSILON.check("epsilon", self.epsilon)

    def oracle_calls(self, game: Game) -> OracleCalls:
        return OracleCalls(2 + solver_iterations(game.m))

    def begin(self, game: Game, z: Tensor) -> Squares:
        return Squares(torch.zeros_like(z), z.new_zeros(len(z), 1))

    def advance(self, game: Game, z: Tensor, state: Squares) -> tuple[Tensor, Squares]:
        field, (x, y), time = game.field(z), game.split(z), state.time + 1
        square = torch.lerp(field * field, state.square, self.beta2)
        size = (square / (1 - self.beta2**time)).sqrt() + self.epsilon
        steps = times(self.step_size, 1 / size, game)
        if not (game.m and game.n):  # a player alone descends
            return z - steps * field, Squares(square, time)
        (a_x, a_y), (grad_x, descent_y) = game.split(steps), game.split(field)
        root = a_x.sqrt()

        def system(u: Tensor) -> Tensor:
            across = game.coupling_y(x, y, root * u)
            return u - root * game.coupling_x(x, y, a_y * across)

        right = root * (grad_x - game.coupling_x(x, y, a_y * descent_y))
        dx = -root * conjugate_gradients(system, right, solver_iterations(game.m))
        dy = -a_y * (descent_y + game.coupling_y(x, y, dx))
        return z + join((dx, dy)), Squares(square, time)

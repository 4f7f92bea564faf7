"""LEAD: descent-ascent as a particle in a magnetic field, simultaneous and alternating."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from l2o.games import Game, join
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import (
    STEP_SIZES,
    Grid,
    HandDesigned,
    Hyperparameter,
    of_player,
    times,
)
from l2o.optimizers.hand_designed.negative_momentum import Velocity


@dataclass(frozen=True, eq=False)
class LEAD(HandDesigned[Velocity]):
    """x⁺ = x + βΔx − η∇ₓf − α∇²xy f·Δy, y⁺ = y + βΔy − η∇_y g − α∇²yx g·Δx.

    Δ is the last move, zero at the start. On bilinear games, with β = 0 and α = η, it is OGDA.

    Args:
        step_size: η > 0.
        coupling: α > 0.
        momentum: β in (−1, 1).

    Source: Hemmat et al. (TMLR 2023).
    """

    step_size: Hyperparameter = 0.1
    coupling: Hyperparameter = 0.1
    momentum: Hyperparameter = 0.0

    grids = {
        "step_size": STEP_SIZES,
        "coupling": Grid(1e-2, 10**0.5, points=11, log=True, above=0),
        "momentum": Grid(-0.3, 0.6, points=4, above=-1, below=1),
    }
    calls = OracleCalls(2)
    per_player = True
    needs_products = True

    def begin(self, game: Game, z: Tensor) -> Velocity:
        return Velocity(torch.zeros_like(z))

    def advance(self, game: Game, z: Tensor, state: Velocity) -> tuple[Tensor, Velocity]:
        velocity = state.velocity
        force = times(self.step_size, game.field(z), game)
        force = force + times(self.coupling, game.coupling(z, velocity), game)
        velocity = times(self.momentum, velocity, game) - force
        return z + velocity, Velocity(velocity)


class AlternatingLEAD(LEAD):
    """LEAD with y's half-step at the new x: its gradient, its coupling term and Δx are fresh.

    Source: the order of the GAN experiments of Hemmat et al. (TMLR 2023), x first.
    """

    def advance(self, game: Game, z: Tensor, state: Velocity) -> tuple[Tensor, Velocity]:
        (x, y), (dx, dy) = game.split(z), game.split(state.velocity)
        (eta, alpha, beta), (eta_y, alpha_y, beta_y) = (
            [of_player(v, i) for v in (self.step_size, self.coupling, self.momentum)]
            for i in (0, 1)
        )
        dx = beta * dx - (eta * game.field_x(x, y) + alpha * game.coupling_x(x, y, dy))
        x = x + dx
        dy = beta_y * dy - (eta_y * game.field_y(x, y) + alpha_y * game.coupling_y(x, y, dx))
        return join((x, y + dy)), Velocity(join((dx, dy)))

"""Alternating gradient descent-ascent with negative momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, join
from l2o.optimizers.hand_designed.base import (
    STEP_SIZES,
    Grid,
    HandDesigned,
    Hyperparameter,
    Value,
    of_player,
)


class Velocity(NamedTuple):
    """The last move."""

    velocity: Tensor
    """z_k − z_{k−1}, (B, d), zero at the start."""


@dataclass(frozen=True, eq=False)
class NegativeMomentum(HandDesigned[Velocity]):
    """x⁺ = x − η∇ₓf(x, y) + βΔx, y⁺ = y − η∇_y g(x⁺, y) + βΔy.

    With β = 0 it is alternating gradient descent-ascent.

    Args:
        step_size: η > 0; on f = xy stable iff η < 2(1 + β).
        momentum: β, negative for games.

    Source: Gidel et al. (AISTATS 2019).
    """

    step_size: Hyperparameter = 0.1
    momentum: Value = -0.5

    per_player = True
    grids = {
        "step_size": STEP_SIZES,
        "momentum": Grid(-0.9, -0.1, points=5, above=-1, below=1),
    }

    def begin(self, game: Game, z: Tensor) -> Velocity:
        return Velocity(torch.zeros_like(z))

    def advance(self, game: Game, z: Tensor, state: Velocity) -> tuple[Tensor, Velocity]:
        (x, y), (dx, dy) = game.split(z), game.split(state.velocity)
        eta_x, eta_y = (of_player(self.step_size, which) for which in (0, 1))
        x = game.project_x(x - eta_x * game.field_x(x, y) + self.momentum * dx)
        y = y - eta_y * game.field_y(x, y) + self.momentum * dy
        moved = join((x, y))
        return moved, Velocity(moved - z)

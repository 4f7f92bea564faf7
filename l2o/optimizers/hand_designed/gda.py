"""Gradient descent-ascent, simultaneous and alternating."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from l2o.games import Game, join
from l2o.optimizers.hand_designed.base import (
    STEP_SIZES,
    Hyperparameter,
    Memoryless,
    of_player,
    times,
)


@dataclass(frozen=True, eq=False)
class GDA(Memoryless):
    """Simultaneous gradient descent-ascent, z⁺ = z − ηG(z).

    Diverges on f = xy for every η, at the rate √(1 + η²).

    Args:
        step_size: η > 0.
    """

    step_size: Hyperparameter = 0.1

    per_player = True
    grids = {"step_size": STEP_SIZES}

    def moved(self, game: Game, z: Tensor) -> Tensor:
        return z - times(self.step_size, game.field(z), game)


@dataclass(frozen=True, eq=False)
class AlternatingGDA(Memoryless):
    """Alternating gradient descent-ascent, x⁺ = x − η∇ₓf(x, y), y⁺ = y − η∇_y g(x⁺, y).

    On f = xy it neither converges nor diverges for 0 < η < 2: it conserves x² + y² − ηxy.

    Args:
        step_size: η > 0.
    """

    step_size: Hyperparameter = 0.1

    per_player = True
    grids = {"step_size": STEP_SIZES}

    def moved(self, game: Game, z: Tensor) -> Tensor:
        x, y = game.split(z)
        x = game.project_x(x - of_player(self.step_size, 0) * game.field_x(x, y))
        y = y - of_player(self.step_size, 1) * game.field_y(x, y)
        return join((x, y))

"""Extragradient, with a fixed step and with one from the running Lipschitz estimate."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from l2o.games import Game
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import (
    STEP_SIZES,
    Grid,
    HandDesigned,
    Hyperparameter,
    Memoryless,
    Value,
    times,
)
from l2o.optimizers.hand_designed.lipschitz import Lipschitz, probe, steepest


@dataclass(frozen=True, eq=False)
class Extragradient(Memoryless):
    """z⁺ = z − ηG(z − ηG(z)).

    Args:
        step_size: η > 0; on f = xy stable iff η < 1. With η < 1/L and G monotone,
            min‖G‖² ≤ ‖z₀ − z*‖² / (η²(1 − η²L²)(k + 1)).

    Source: Korpelevich (1976).
    """

    step_size: Hyperparameter = 0.1

    per_player = True
    grids = {"step_size": STEP_SIZES}
    calls = OracleCalls(2)

    def moved(self, game: Game, z: Tensor) -> Tensor:
        half = game.project(z - times(self.step_size, game.field(z), game))
        return z - times(self.step_size, game.field(half), game)


@dataclass(frozen=True, eq=False)
class AdaptiveExtragradient(HandDesigned[Lipschitz]):
    """Extragradient with η = s/L, where L is the largest local Lipschitz constant seen so far.

    Args:
        relative_step: s > 0.
    """

    relative_step: Value = 0.5

    grids = {"relative_step": Grid(0.1, 1.0, points=10, above=0)}
    calls = OracleCalls(2, start=2)

    def begin(self, game: Game, z: Tensor) -> Lipschitz:
        return Lipschitz(probe(game, z, game.field(z)))

    def advance(self, game: Game, z: Tensor, state: Lipschitz) -> tuple[Tensor, Lipschitz]:
        field = game.field(z)
        half = game.project(z - self.relative_step / state.constant * field)
        ahead = game.field(half)
        constant = steepest(state.constant, ahead - field, half - z)
        return z - self.relative_step / constant * ahead, Lipschitz(constant)

"""LEAD on Adam, at once or alternating."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, join
from l2o.io import checks
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import Grid, Hyperparameter, of_player, times
from l2o.optimizers.hand_designed.rules import BETA1, LEARNING_RATES, ByAdam, Memories


class LastMove(NamedTuple):
    """The memories, and the last move."""

    memories: Memories
    move: Tensor
    """Δz, (B, d), zero at the start."""


@dataclass(frozen=True, eq=False)
class LEADAdam(ByAdam[LastMove]):
    """Adam on ∇ₓf + α∇²xy f·Δy and ∇_y g + α∇²yx g·Δx, Δ the last moves, zero at the start.

    Args:
        step_size: η > 0.
        beta1: β₁ in (−1, 1).
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0.
        coupling: α > 0.
        alternating: Whether y moves first, and x sees the new y and Δy.

    Source: Hemmat et al. (TMLR 2023), Algorithm 1; alternating as in its GAN experiments.
    """

    coupling: Hyperparameter = 0.5
    alternating: bool = False

    calls = OracleCalls(2)
    needs_products = True
    grids = {
        "step_size": LEARNING_RATES,
        "beta1": BETA1,
        "coupling": Grid(0.1, 1.0, points=3, log=True, above=0),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.flag("alternating", self.alternating)

    def begin(self, game: Game, z: Tensor) -> LastMove:
        return LastMove(self.memories(game, z), torch.zeros_like(z))

    def advance(self, game: Game, z: Tensor, state: LastMove) -> tuple[Tensor, LastMove]:
        if self.alternating:
            return self._alternated(game, z, state)
        force = times(self.coupling, game.coupling(z, state.move), game)
        move, memories = self.moves(game, game.field(z) + force, state.memories)
        moved = game.project(z + move)
        return moved, LastMove(memories, moved - z)

    def _alternated(self, game: Game, z: Tensor, state: LastMove) -> tuple[Tensor, LastMove]:
        (x, y), (dx, _), (of_x, of_y) = game.split(z), game.split(state.move), state.memories
        force = of_player(self.coupling, 1) * game.coupling_y(x, y, dx)
        move, of_y = self.move(1, game.field_y(x, y) + force, of_y)
        new_y = game.project_y(y + move)
        force = of_player(self.coupling, 0) * game.coupling_x(x, new_y, new_y - y)
        move, of_x = self.move(0, game.field_x(x, new_y) + force, of_x)
        moved = join((game.project_x(x + move), new_y))
        return moved, LastMove(Memories(of_x, of_y), moved - z)

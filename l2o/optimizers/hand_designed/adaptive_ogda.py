"""OGDA with its step normalized by a running Lipschitz estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from l2o.games import Game
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import Grid, HandDesigned, Value
from l2o.optimizers.hand_designed.lipschitz import probe, steepest


class AdaptiveState(NamedTuple):
    """What the last iteration saw, and the estimate so far."""

    point: Tensor
    """z_{k−1}, (B, d)"""
    field: Tensor
    """G(z_{k−1}), (B, d)"""
    constant: Tensor
    """L, (B, 1)"""


@dataclass(frozen=True, eq=False)
class AdaptiveOGDA(HandDesigned[AdaptiveState]):
    """z⁺ = z − s(2G_k − G_{k−1})/L, L the largest ‖ΔG‖/‖Δz‖ seen so far.

    Unchanged by a factor on f.

    Args:
        relative_step: s > 0.
    """

    relative_step: Value = 0.3

    grids = {"relative_step": Grid(0.1, 1.0, points=10, above=0)}
    calls = OracleCalls(1, start=2)

    def begin(self, game: Game, z: Tensor) -> AdaptiveState:
        field = game.field(z)
        return AdaptiveState(z, field, probe(game, z, field))

    def advance(self, game: Game, z: Tensor, state: AdaptiveState) -> tuple[Tensor, AdaptiveState]:
        field = game.field(z)
        constant = steepest(state.constant, field - state.field, z - state.point)
        moved = z - self.relative_step / constant * (2 * field - state.field)
        return moved, AdaptiveState(z, field, constant)

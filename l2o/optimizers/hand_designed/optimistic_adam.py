"""Optimistic Adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game
from l2o.optimizers.hand_designed.rules import ByAdam, Memories


class LastMove(NamedTuple):
    """The memories, and Adam's last move."""

    memories: Memories
    move: Tensor
    """Δ_{t−1}, (B, d), zero at the start."""
    time: Tensor
    """t, (B, 1)"""


@dataclass(frozen=True, eq=False)
class OptimisticAdam(ByAdam[LastMove]):
    """z⁺ = z + 2Δ_t − Δ_{t−1}, Δ_t Adam's move at z; the first step is Δ.

    Args:
        step_size: η > 0.
        beta1: β₁ in (−1, 1).
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0.

    Source: Daskalakis et al. (ICLR 2018), Algorithm 1, with Δ_{−1} = Δ_0 as in OGDA; with the
        paper's Δ_{−1} = 0 the first step would be 2Δ.
    """

    def begin(self, game: Game, z: Tensor) -> LastMove:
        return LastMove(self.memories(game, z), torch.zeros_like(z), z.new_zeros(len(z), 1))

    def advance(self, game: Game, z: Tensor, state: LastMove) -> tuple[Tensor, LastMove]:
        move, memories = self.moves(game, game.field(z), state.memories)
        last = torch.where(state.time == 0, move, state.move)
        return z + 2 * move - last, LastMove(memories, move, state.time + 1)

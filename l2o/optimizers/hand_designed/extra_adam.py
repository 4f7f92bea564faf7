"""Extragradient on Adam, with a second call in each iteration or with the past one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from l2o.games import Game
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.rules import ByAdam, Memories


@dataclass(frozen=True, eq=False)
class ExtraAdam(ByAdam[Memories]):
    """z_½ = z + Δ(G(z)), z⁺ = z + Δ(G(z_½)), Δ Adam's move; both advance moments and counter.

    Args:
        step_size: η > 0.
        beta1: β₁ in (−1, 1).
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0.

    Source: Gidel et al. (ICLR 2019), Algorithm 4.
    """

    calls = OracleCalls(2)

    def begin(self, game: Game, z: Tensor) -> Memories:
        return self.memories(game, z)

    def advance(self, game: Game, z: Tensor, state: Memories) -> tuple[Tensor, Memories]:
        move, state = self.moves(game, game.field(z), state)
        half = game.project(move.add_(z))
        move, state = self.moves(game, game.field(half), state)
        return move.add_(z), state


class PastHalf(NamedTuple):
    """The memories, and what the last half-point saw."""

    memories: Memories
    field: Tensor
    """G at the last half-point, (B, d)."""


@dataclass(frozen=True, eq=False)
class PastExtraAdam(ByAdam[PastHalf]):
    """ExtraAdam whose extrapolation uses the field of the last half-point: one call.

    z_½ = z + Δ(G(z_½ of before)), z⁺ = z + Δ(G(z_½)); the first uses G(z₀).

    Args:
        step_size: η > 0.
        beta1: β₁ in (−1, 1).
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0.

    Source: Popov (1980); Gidel et al. (ICLR 2019), Section 3.
    """

    calls = OracleCalls(1, start=1)

    def begin(self, game: Game, z: Tensor) -> PastHalf:
        return PastHalf(self.memories(game, z), game.field(z))

    def advance(self, game: Game, z: Tensor, state: PastHalf) -> tuple[Tensor, PastHalf]:
        move, memories = self.moves(game, state.field, state.memories)
        field = game.field(game.project(move.add_(z)))
        move, memories = self.moves(game, field, memories)
        return move.add_(z), PastHalf(memories, field)

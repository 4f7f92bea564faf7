"""Schemes for games around Adam's rule: optimism, extrapolation, and corrected fields.

Axes: B instances, d joint coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, join
from l2o.io import checks
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.adjusted import ADJUSTMENTS, symplectic
from l2o.optimizers.hand_designed.base import Grid, Hyperparameter, of_player, times
from l2o.optimizers.hand_designed.rules import BETA1, LEARNING_RATES, ByAdam, Memories


class LastUpdate(NamedTuple):
    """The memories, and the last update."""

    memories: Memories
    update: Tensor
    """u_{t−1}, (B, d), zero at the start."""
    time: Tensor
    """t, (B, 1)"""


@dataclass(frozen=True, eq=False)
class OptimisticAdam(ByAdam[LastUpdate]):
    """z⁺ = z − 2u_t + u_{t−1}, u_t Adam's update at z; the first step is u.

    Args:
        step_size: η > 0.
        beta1: β₁ in (−1, 1).
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0.

    Source: Daskalakis et al. (ICLR 2018), Algorithm 1, with u_{−1} = u_0 as in OGDA.
    """

    def begin(self, game: Game, z: Tensor) -> LastUpdate:
        return LastUpdate(self.memories(game, z), torch.zeros_like(z), z.new_zeros(len(z), 1))

    def advance(self, game: Game, z: Tensor, state: LastUpdate) -> tuple[Tensor, LastUpdate]:
        update, memories = self.updates(game, game.field(z), state.memories)
        last = torch.where(state.time == 0, update, state.update)
        return z - 2 * update + last, LastUpdate(memories, update, state.time + 1)


@dataclass(frozen=True, eq=False)
class ExtraAdam(ByAdam[Memories]):
    """z_½ = z − u(G(z)), z⁺ = z − u(G(z_½)); both advance the moments and the counter.

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
        ahead, state = self.updates(game, game.field(z), state)
        half = game.project(z - ahead)
        moved, state = self.updates(game, game.field(half), state)
        return z - moved, state


class PastHalf(NamedTuple):
    """The memories, and what the last half-point saw."""

    memories: Memories
    field: Tensor
    """G at the last half-point, (B, d)."""


@dataclass(frozen=True, eq=False)
class PastExtraAdam(ByAdam[PastHalf]):
    """ExtraAdam whose extrapolation uses the field of the last half-point: one call.

    z_½ = z − u(G(z_½ of before)), z⁺ = z − u(G(z_½)); the first uses G(z₀).

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
        ahead, memories = self.updates(game, state.field, state.memories)
        field = game.field(game.project(z - ahead))
        moved, memories = self.updates(game, field, memories)
        return z - moved, PastHalf(memories, field)


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
        memories, move = state
        if not self.alternating:
            field = game.field(z) + times(self.coupling, game.coupling(z, move), game)
            update, memories = self.updates(game, field, memories)
            moved = game.project(z - update)
            return moved, LastMove(memories, moved - z)
        (x, y), (dx, dy), (of_x, of_y) = game.split(z), game.split(move), memories
        force = of_player(self.coupling, 1) * game.coupling_y(x, y, dx)
        update, of_y = self.update(1, game.field_y(x, y) + force, of_y)
        new_y = game.project_y(y - update)
        dy = new_y - y
        force = of_player(self.coupling, 0) * game.coupling_x(x, new_y, dy)
        update, of_x = self.update(0, game.field_x(x, new_y) + force, of_x)
        new_x = game.project_x(x - update)
        return join((new_x, new_y)), LastMove(Memories(of_x, of_y), join((new_x - x, dy)))


@dataclass(frozen=True, eq=False)
class SGAAdam(ByAdam[Memories]):
    """Adam on G + λAᵀG, A = ½(M − Mᵀ); with β₁ = 0, SGA on RMSprop.

    Args:
        step_size: η > 0.
        beta1: β₁ in (−1, 1).
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0.
        adjustment: λ > 0.

    Source: Balduzzi et al. (ICML 2018).
    """

    adjustment: Hyperparameter = 1.0

    needs_products = True
    grids = {"step_size": LEARNING_RATES, "beta1": BETA1, "adjustment": ADJUSTMENTS}

    def oracle_calls(self, game: Game) -> OracleCalls:
        return OracleCalls(2 if game.zero_sum else 3)

    def begin(self, game: Game, z: Tensor) -> Memories:
        return self.memories(game, z)

    def advance(self, game: Game, z: Tensor, state: Memories) -> tuple[Tensor, Memories]:
        field = game.field(z)
        adjusted = field + times(self.adjustment, symplectic(game, z, field), game)
        update, state = self.updates(game, adjusted, state)
        return z - update, state


@dataclass(frozen=True, eq=False)
class ConsensusAdam(ByAdam[Memories]):
    """Adam on G + γMᵀG, M the Jacobian of G; with β₁ = 0, consensus optimization on RMSprop.

    Args:
        step_size: η > 0.
        beta1: β₁ in (−1, 1).
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0.
        adjustment: γ > 0.

    Source: Mescheder et al. (NeurIPS 2017).
    """

    adjustment: Hyperparameter = 0.1

    calls = OracleCalls(2)
    needs_products = True
    grids = {"step_size": LEARNING_RATES, "beta1": BETA1, "adjustment": ADJUSTMENTS}

    def begin(self, game: Game, z: Tensor) -> Memories:
        return self.memories(game, z)

    def advance(self, game: Game, z: Tensor, state: Memories) -> tuple[Tensor, Memories]:
        field = game.field(z)
        adjusted = field + times(self.adjustment, game.vjp(z, field), game)
        update, state = self.updates(game, adjusted, state)
        return z - update, state

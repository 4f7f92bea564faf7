"""SGA and consensus optimization on Adam, or with β₁ = 0 on RMSprop."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from l2o.games import Game
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.adjusted import ADJUSTMENTS, symplectic
from l2o.optimizers.hand_designed.base import Hyperparameter, times
from l2o.optimizers.hand_designed.rules import BETA1, LEARNING_RATES, ByAdam, Memories


@dataclass(frozen=True, eq=False)
class SGAAdam(ByAdam[Memories]):
    """Adam on G + λAᵀG, A = ½(J − Jᵀ), J the Jacobian of G; with β₁ = 0, SGA on RMSprop.

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
        move, state = self.moves(game, adjusted, state)
        return z + move, state


@dataclass(frozen=True, eq=False)
class ConsensusAdam(ByAdam[Memories]):
    """Adam on G + γJᵀG, J the Jacobian of G; with β₁ = 0, consensus optimization on RMSprop.

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
        move, state = self.moves(game, adjusted, state)
        return z + move, state

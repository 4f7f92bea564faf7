"""Methods that add a second-order term to the field: SGA and consensus optimization."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from l2o.games import Game
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import (
    STEP_SIZES,
    Grid,
    Hyperparameter,
    Memoryless,
    Value,
    times,
)

ADJUSTMENTS = Grid(1e-2, 10.0, points=10, log=True, above=0)


@dataclass(frozen=True, eq=False)
class SGA(Memoryless):
    """Symplectic gradient adjustment, z⁺ = z − η(G + λAᵀG), A = ½(M − Mᵀ), M the Jacobian of G.

    In a zero-sum game AᵀG is minus the coupling product of G, one call; elsewhere it is
    ½(MᵀG − MG), two. On bilinear games λ = η makes it extragradient.

    Args:
        step_size: η > 0.
        adjustment: λ > 0.

    Source: Balduzzi et al. (ICML 2018).
    """

    step_size: Hyperparameter = 0.1
    adjustment: Value = 0.1

    per_player = True
    needs_products = True
    grids = {"step_size": STEP_SIZES, "adjustment": ADJUSTMENTS}

    def oracle_calls(self, game: Game) -> OracleCalls:
        return OracleCalls(2 if game.zero_sum else 3)

    def moved(self, game: Game, z: Tensor) -> Tensor:
        field = game.field(z)
        adjusted = field + self.adjustment * symplectic(game, z, field)
        return z - times(self.step_size, adjusted, game)


def symplectic(game: Game, z: Tensor, field: Tensor) -> Tensor:
    """AᵀG with A = ½(M − Mᵀ), (B, d)."""
    if game.zero_sum:
        return -game.coupling(z, field)
    return (game.vjp(z, field) - game.jvp(z, field)) / 2


@dataclass(frozen=True, eq=False)
class Consensus(Memoryless):
    """Consensus optimization, z⁺ = z − η(G + γMᵀG), MᵀG = ∇½‖G‖².

    Drawn to every critical point, it can converge to one that is no solution.

    Args:
        step_size: η > 0.
        adjustment: γ > 0.

    Source: Mescheder et al. (NeurIPS 2017).
    """

    step_size: Hyperparameter = 0.1
    adjustment: Value = 0.1

    per_player = True
    needs_products = True
    grids = {"step_size": STEP_SIZES, "adjustment": ADJUSTMENTS}
    calls = OracleCalls(2)

    def moved(self, game: Game, z: Tensor) -> Tensor:
        field = game.field(z)
        return z - times(self.step_size, field + self.adjustment * game.vjp(z, field), game)

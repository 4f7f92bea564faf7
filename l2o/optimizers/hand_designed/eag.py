"""Extra anchored gradient, with constant and with varying step, and its fast extension FEG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import (
    Anchored,
    Grid,
    HandDesigned,
    Value,
    zeros,
)

LIPSCHITZ = Grid(0.1, 10**2.5, points=15, log=True, above=0)
"""Four values a decade."""


@dataclass(frozen=True, eq=False)
class EAGC(HandDesigned[Anchored]):
    """EAG-C: w = z + (z₀ − z)/(k + 2), h = w − αG(z), z⁺ = w − αG(h), α = 1/(8L).

    Where G is monotone and L its Lipschitz constant, ‖G_k‖² ≤ 260 L²‖z₀ − z*‖²/(k + 1)².

    Args:
        lipschitz: L > 0.

    Source: Yoon and Ryu (ICML 2021).
    """

    lipschitz: Value = 1.0

    grids = {"lipschitz": LIPSCHITZ}
    calls = OracleCalls(2)

    def begin(self, game: Game, z: Tensor) -> Anchored:
        return Anchored(z, zeros(z))

    def advance(self, game: Game, z: Tensor, state: Anchored) -> tuple[Tensor, Anchored]:
        z = _anchored_step(game, z, state, 0.125 / self.lipschitz)
        return z, Anchored(state.anchor, state.iteration + 1)


class VaryingStep(NamedTuple):
    """The start, the time and the step size of the iteration to come."""

    anchor: Tensor
    """z₀, (B, d)"""
    iteration: Tensor
    """k, (B, 1)"""
    step_size: Tensor
    """α_k, (B, 1)"""


@dataclass(frozen=True, eq=False)
class EAGV(HandDesigned[VaryingStep]):
    """EAG-V: EAG-C with α₀ = 0.618/L and
    α_{k+1} = α_k/(1 − α_k²L²)·(1 − (k + 2)²/((k + 1)(k + 3))·α_k²L²).

    Where G is monotone, ‖G_k‖² ≤ 27 L²‖z₀ − z*‖²/((k + 1)(k + 2)).

    Args:
        lipschitz: L > 0.

    Source: Yoon and Ryu (ICML 2021).
    """

    lipschitz: Value = 1.0

    grids = {"lipschitz": LIPSCHITZ}
    calls = OracleCalls(2)

    def begin(self, game: Game, z: Tensor) -> VaryingStep:
        return VaryingStep(z, zeros(z), zeros(z) + 0.618 / self.lipschitz)

    def advance(self, game: Game, z: Tensor, state: VaryingStep) -> tuple[Tensor, VaryingStep]:
        anchor, k, alpha = state
        z = _anchored_step(game, z, Anchored(anchor, k), alpha)
        squared = (alpha * self.lipschitz) ** 2
        shrinking = 1 - (k + 2) ** 2 / ((k + 1) * (k + 3)) * squared
        return z, VaryingStep(anchor, k + 1, alpha / (1 - squared) * shrinking)


@dataclass(frozen=True, eq=False)
class FEG(HandDesigned[Anchored]):
    """FEG: β = 1/(k + 1), w = z + β(z₀ − z), h = w − (1 − β)(1/L + 2c)G(z),
    z⁺ = w − G(h)/L − (1 − β)·2c·G(z).

    Where G is c-comonotone, ‖G_k‖² ≤ 4‖z₀ − z*‖²/((1/L + 2c)²k²), and no method does better.

    Args:
        lipschitz: L > 0.
        comonotonicity: c·L, without a unit; 0 for monotone G, negative for less than that.

    Source: Lee and Kim (NeurIPS 2021).
    """

    lipschitz: Value = 1.0
    comonotonicity: Value = 0.0

    grids = {
        "lipschitz": LIPSCHITZ,
        "comonotonicity": Grid(-0.4, 0.4, points=5, above=-0.5),
    }
    calls = OracleCalls(2)

    def begin(self, game: Game, z: Tensor) -> Anchored:
        return Anchored(z, zeros(z))

    def advance(self, game: Game, z: Tensor, state: Anchored) -> tuple[Tensor, Anchored]:
        time = state.iteration + 1
        step, beta = 1 / self.lipschitz, 1 / time
        surplus = 2 * self.comonotonicity * step
        field, w = game.field(z), z + beta * (state.anchor - z)
        half = w - (1 - beta) * (step + surplus) * field
        z = w - step * game.field(half) - (1 - beta) * surplus * field
        return z, Anchored(state.anchor, time)


def _anchored_step(game: Game, z: Tensor, state: Anchored, step: Value) -> Tensor:
    w = torch.lerp(z, state.anchor, 1 / (state.iteration + 2))
    half = w - step * game.field(z)
    return w - step * game.field(half)

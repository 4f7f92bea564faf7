"""Halpern's iteration on the resolvent."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Halpern(HandDesigned[Anchored]):
    """u_{k+1} = λ_k u₁ + (1 − λ_k)·J(u_k), λ_k = 1/(k + 1), k = 1, 2, …, J = (I + αG)⁻¹.

    Where G is monotone, ‖u_k − J u_k‖ ≤ 2‖u₁ − u*‖/(k + 1). One call is a resolvent in
    closed form, a stronger oracle than a field; elsewhere the Newton steps that find it count.

    Args:
        step_size: α in (0, 100); as α grows, J comes to solve the problem outright.

    Source: Halpern (1967), with the weights of Lieder (2021); the fallback of Shen et al.
        (ICLR 2021), Method 1.
    """

    step_size: Value = 1.0

    grids = {"step_size": Grid(1e-2, 10**1.5, points=15, log=True, above=0, below=100)}

    def oracle_calls(self, game: Game) -> OracleCalls:
        return OracleCalls(game.resolvent_calls)

    def begin(self, game: Game, z: Tensor) -> Anchored:
        return Anchored(z, zeros(z))

    def advance(self, game: Game, z: Tensor, state: Anchored) -> tuple[Tensor, Anchored]:
        k = state.iteration + 1
        z = torch.lerp(game.resolvent(z, self.step_size), state.anchor, 1 / (k + 1))
        return z, Anchored(state.anchor, k)

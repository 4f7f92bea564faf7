"""Optimistic gradient descent-ascent, also known as optimistic mirror descent (OMD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from l2o.games import Game
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import STEP_SIZES, HandDesigned, Hyperparameter, times


class PastField(NamedTuple):
    """What the last iteration saw."""

    field: Tensor
    """G(z_{k−1}), (B, d)"""


@dataclass(frozen=True, eq=False)
class OGDA(HandDesigned[PastField]):
    """z⁺ = z − 2ηG_k + ηG_{k−1}, with G_{−1} = G₀, so that the first step is η.

    Args:
        step_size: η > 0; on f = xy stable iff η < 1/√3.

    Source: Popov (1980); Daskalakis et al. (2018); its half-points are those of
        past-extragradient.
    """

    step_size: Hyperparameter = 0.1

    per_player = True
    grids = {"step_size": STEP_SIZES}
    calls = OracleCalls(1, start=1)

    def begin(self, game: Game, z: Tensor) -> PastField:
        return PastField(game.field(z))

    def advance(self, game: Game, z: Tensor, state: PastField) -> tuple[Tensor, PastField]:
        field = game.field(z)
        return z - times(self.step_size, 2 * field - state.field, game), PastField(field)

"""GD-Anchoring: descent-ascent with a fading pull back to the start."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from l2o.games import Game
from l2o.optimizers.hand_designed.base import (
    STEP_SIZES,
    Anchored,
    Grid,
    HandDesigned,
    Value,
    zeros,
)


@dataclass(frozen=True, eq=False)
class GDAnchoring(HandDesigned[Anchored]):
    """z⁺ = z − s(1 − p)/(k + 1)^p·G(z) + (1 − p)γ/(k + 1)·(z₀ − z), k = 0, 1, …

    Args:
        step_size: s > 0, a factor on f; 1 in the paper.
        power: p in (½, 1).
        anchoring: γ > 0; the theory asks for γ ≥ 2.

    Source: Ryu, Yuan and Yin (2019).
    """

    step_size: Value = 1.0
    power: Value = 0.667
    anchoring: Value = 2.0

    grids = {
        "step_size": STEP_SIZES,
        "power": Grid(0.55, 0.85, points=3, above=0.5, below=1),
        "anchoring": Grid(0.5, 8.0, points=5, log=True, above=0),
    }

    def begin(self, game: Game, z: Tensor) -> Anchored:
        return Anchored(z, zeros(z))

    def advance(self, game: Game, z: Tensor, state: Anchored) -> tuple[Tensor, Anchored]:
        time, left = state.iteration + 1, 1 - self.power
        descent = self.step_size * left * time**-self.power
        pull = left * self.anchoring / time
        z = z - descent * game.field(z) + pull * (state.anchor - z)
        return z, Anchored(state.anchor, time)

"""Lookahead for minimax, wrapped around any optimizer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, join
from l2o.io import checks
from l2o.optimizers.base import Optimizer, OracleCalls
from l2o.optimizers.hand_designed.base import Grid, HandDesigned, Value
from l2o.optimizers.hand_designed.descent import Adam


class Slow(NamedTuple):
    """The wrapped optimizer's state, the slow iterate and the time."""

    base: Any
    slow: Tensor
    """z̃, (B, d)"""
    time: Tensor
    """t, (B, 1)"""


@dataclass(frozen=True, eq=False)
class Lookahead(HandDesigned[Slow]):
    """After every k iterations of the wrapped optimizer, z = z̃ ← z̃ + α(z − z̃).

    Both players go back at once, after both have moved. With α = 1 it is the wrapped optimizer.

    Args:
        base: The optimizer whose iterations are looked ahead by.
        period: k.
        weight: α in (0, 1].

    Source: Chavdarova et al. (ICLR 2021), Algorithm 1.
    """

    base: Optimizer[Any] = field(default_factory=Adam)
    period: int = 5
    weight: Value = 0.5

    grids = {"weight": Grid(0.25, 0.75, points=3, above=0, below=1 + 1e-12)}

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("period", self.period)
        if not isinstance(self.base, Optimizer):
            raise checks.refusal("base", "an optimizer", self.base)

    def oracle_calls(self, game: Game) -> OracleCalls:
        return self.base.oracle_calls(game)

    def begin(self, game: Game, z: Tensor) -> Slow:
        return Slow(self.base.init(game, game.split(z)), z, z.new_zeros(len(z), 1))

    def advance(self, game: Game, z: Tensor, state: Slow) -> tuple[Tensor, Slow]:
        moved, base = self.base.step(game, game.split(z), state.base)
        z, time = join(moved), state.time + 1
        due = torch.remainder(time, self.period) == 0
        back = torch.lerp(state.slow, z, self.weight)
        z = torch.where(due, back, z)
        return z, Slow(base, torch.where(due, back, state.slow), time)

"""Adam and SGD for two players, at once or alternating."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from l2o.games import Game, Iterate
from l2o.io import checks
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import Grid
from l2o.optimizers.hand_designed.rules import LEARNING_RATES, ByAdam, ByRule, BySGD, Memories


@dataclass(frozen=True, eq=False)
class Descent(ByRule[Memories]):
    """Each player descends its cost by the rule: both at once, or y first and x at the new y."""

    alternating: bool = False
    critic_steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.flag("alternating", self.alternating)
        if checks.count("critic_steps", self.critic_steps) > 1 and not self.alternating:
            raise checks.refusal("critic_steps", "1, or alternating=true", self.critic_steps)

    def oracle_calls(self, game: Game) -> OracleCalls:
        return OracleCalls((1 + self.critic_steps) / 2)

    def begin(self, game: Game, z: Tensor) -> Memories:
        return self.memories(game, z)

    def advance(self, game: Game, z: Tensor, state: Memories) -> tuple[Tensor, Memories]:
        move, state = self.moves(game, game.field(z), state)
        return move.add_(z), state

    def step(self, game: Game, iterate: Iterate, state: Memories) -> tuple[Iterate, Memories]:
        if not self.alternating:
            return super().step(game, iterate, state)
        (x, y), (of_x, of_y) = iterate, state
        for _ in range(self.critic_steps):
            move, of_y = self.move(1, game.field_y(x, y), of_y)
            y = game.project_y(move.add_(y))
        move, of_x = self.move(0, game.field_x(x, y), of_x)
        return Iterate(game.project_x(move.add_(x)), y), Memories(of_x, of_y)


@dataclass(frozen=True, eq=False)
class Adam(Descent, ByAdam[Memories]):
    """Adam for both players: w ← w − η·m̂/(√v̂ + ε), m and v of the player's own gradient.

    Args:
        step_size: η > 0.
        beta1: β₁ in (−1, 1); negative for negative momentum.
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0.
        alternating: Whether y moves first, and x sees the new y.
        critic_steps: Half-steps of y in an iteration, if alternating.

    Source: Kingma and Ba (ICLR 2015).
    """

    grids: ClassVar = ByAdam.grids


@dataclass(frozen=True, eq=False)
class SGD(Descent, BySGD[Memories]):
    """Gradient descent with momentum for both players: v ← μv + (1 − τ)g, w ← w − ηv.

    With μ = 0 it is descent-ascent; alternating with μ < 0, negative momentum.

    Args:
        step_size: η > 0.
        momentum: μ in (−1, 1); negative for games.
        dampening: τ.
        alternating: Whether y moves first, and x sees the new y.
        critic_steps: Half-steps of y in an iteration, if alternating.

    Source: Polyak (1964); with negative momentum, Gidel et al. (AISTATS 2019).
    """

    grids: ClassVar = {
        "step_size": LEARNING_RATES,
        "momentum": Grid(-0.5, 0.9, 3, above=-1, below=1),
    }

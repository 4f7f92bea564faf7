"""What hand-designed methods have in common: hyperparameters with grids, and joint coordinates.

Axes: B instances, d = m + n joint coordinates.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, Iterate, join
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.optimizers.base import Optimizer, OracleCalls, State, check_start


class Players(NamedTuple):
    """A value for each player: numbers, or tensors that broadcast with (B, m) and (B, n)."""

    x: float | Tensor
    y: float | Tensor


Value = float | Tensor
"""A number for all instances, or one for each, (B, 1)."""
Hyperparameter = Value | Players
"""The same, or one for each player."""


def of_player(value: Hyperparameter, which: int) -> float | Tensor:
    """The value for player 0 (x) or 1 (y)."""
    return value[which] if isinstance(value, Players) else value


def times(value: Hyperparameter, w: Tensor, game: Game) -> Tensor:
    """The value times w, (B, d); each player's part is multiplied by that player's value."""
    if not isinstance(value, Players):
        return value * w
    u, v = game.split(w)
    return join((value.x * u, value.y * v))


@dataclass(frozen=True)
class Grid:
    """The values of a hyperparameter that tuning tries, and those it may take.

    Attributes:
        low: The smallest value tried at first.
        high: The largest.
        points: How many, both ends included.
        log: Whether they are spaced evenly on a logarithmic scale.
        above: What every value must exceed.
        below: What every value must stay below.
    """

    low: float
    high: float
    points: int
    log: bool = False
    above: float = -math.inf
    below: float = math.inf

    def values(self, before: int = 0, after: int = 0) -> list[float]:
        """The values tried, with some more below the smallest and above the largest.

        Args:
            before: How many more at the low end, as far as they are allowed.
            after: The same at the high end.
        """
        if self.points == 1:
            return [self.low]
        places = [i / (self.points - 1) for i in range(-before, self.points + after)]
        if self.log:
            values = [self.low * (self.high / self.low) ** place for place in places]
        else:
            values = [self.low + (self.high - self.low) * place for place in places]
        # Rounded, so that a value reads as it is meant: 0.1, not 0.10000000000000002.
        rounded = [float(f"{value:.6g}") if abs(value) > 1e-15 else 0.0 for value in values]
        return [value for value in rounded if self.above < value < self.below]

    def around(self, value: Tensor, steps: Tensor) -> Tensor:
        """Values so many steps of the grid away from others; the same where not allowed."""
        width = 1 / max(1, self.points - 1)
        if self.log:
            moved = value * (self.high / self.low) ** (steps * width)
        else:
            moved = value + (self.high - self.low) * steps * width
        return torch.where((moved > self.above) & (moved < self.below), moved, value)

    def check(self, name: str, value: Hyperparameter) -> None:
        """Raises UserError unless a value is allowed; one per instance is taken as it is."""
        if isinstance(value, Players):
            for part in value:
                self.check(name, part)
            return
        if isinstance(value, Tensor):
            return
        if not self.above < checks.number(name, value) < self.below:
            bounds = [f"above {self.above:g}"] if self.above > -math.inf else []
            bounds += [f"below {self.below:g}"] if self.below < math.inf else []
            raise UserError(f"{name}: expected a number {' and '.join(bounds)}, got {value:g}")


STEP_SIZES = Grid(1e-3, 10**0.5, points=15, log=True, above=0)
"""Four values a decade, for every method's step size."""


class HandDesigned(Optimizer[State]):
    """A hand-designed method, written for z = (x, y) and the field G.

    A subclass is a frozen dataclass whose fields are its hyperparameters. Each may be a number,
    or a tensor (B, 1) with a value for each instance, so that a whole grid is one batch.
    """

    grids: ClassVar[Mapping[str, Grid]] = {}
    """The grid of each hyperparameter that is tuned; empty if the method is tuning-free."""
    calls: ClassVar[OracleCalls] = OracleCalls(1)
    """Oracle calls, where their number does not depend on the game."""
    per_player: ClassVar[bool] = False
    """Whether the step size may differ between the players."""
    needs_products: ClassVar[bool] = False
    """Whether the method asks for products with the Jacobian."""
    needs_zero_sum: ClassVar[bool] = False
    """Whether the method is defined for zero-sum games alone."""

    def __post_init__(self) -> None:
        for name, grid in self.grids.items():
            grid.check(name, getattr(self, name))

    def oracle_calls(self, game: Game) -> OracleCalls:
        return self.calls

    def init(
        self,
        game: Game,
        iterate: Iterate,
        generator: torch.Generator | None = None,
    ) -> State:
        iterate = check_start(self, game, iterate)
        if self.needs_zero_sum and not game.zero_sum:
            raise UserError(
                f"{type(self).__name__}: expected a zero-sum game (g = −f), got one with costs of "
                "its own for each player; choose another method"
            )
        return self.begin(game, join(iterate))

    def step(self, game: Game, iterate: Iterate, state: State) -> tuple[Iterate, State]:
        z, state = self.advance(game, join(iterate), state)
        return game.split(game.project(z)), state

    @abstractmethod
    def begin(self, game: Game, z: Tensor) -> State:
        """The state before the first iteration from z, (B, d)."""

    @abstractmethod
    def advance(self, game: Game, z: Tensor, state: State) -> tuple[Tensor, State]:
        """One iteration in joint coordinates."""


class NoState(NamedTuple):
    """The state of a method without memory."""


class Memoryless(HandDesigned[NoState]):
    """A method whose iteration depends on the iterate alone."""

    def begin(self, game: Game, z: Tensor) -> NoState:
        return NoState()

    def advance(self, game: Game, z: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        return self.moved(game, z), state

    @abstractmethod
    def moved(self, game: Game, z: Tensor) -> Tensor:
        """z⁺, (B, d)."""


class Anchored(NamedTuple):
    """The state of an anchored method: the starting point that it is drawn to, and the time."""

    anchor: Tensor
    """z₀, (B, d)"""
    iteration: Tensor
    """k, (B, 1), of the float type of the iterate."""


def zeros(z: Tensor) -> Tensor:
    """A zero for each instance, (B, 1)."""
    return z.new_zeros(len(z), 1)

"""Rules that turn a player's gradients into moves: Adam's and SGD's.

Axes: B instances, k coordinates of one player, d joint coordinates.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, join
from l2o.optimizers.base import State
from l2o.optimizers.hand_designed.base import Grid, HandDesigned, Hyperparameter, of_player

LEARNING_RATES = Grid(1e-4, 1e-1, points=13, log=True, above=0)
"""Four values a decade."""
BETA1 = Grid(0.0, 0.9, points=3, above=-1, below=1)
BETA2 = Grid(0.9, 0.999, points=2, above=-1e-12, below=1)
EPSILON = Grid(1e-8, 1e-8, points=1, above=-1e-300)


class Moments(NamedTuple):
    """Adam's memory of one player."""

    mean: Tensor
    """m, (B, k)"""
    square: Tensor
    """v, (B, k)"""
    time: Tensor
    """t, (B, 1), of the float type of the iterate."""


class Velocity(NamedTuple):
    """SGD's memory of one player."""

    velocity: Tensor
    """(B, k)"""
    time: Tensor
    """t, (B, 1)"""


class Memories(NamedTuple):
    """A rule's memories of both players."""

    x: Any
    y: Any


@dataclass(frozen=True, eq=False)
class ByRule(HandDesigned[State]):
    """A scheme around a rule, which makes a move of every gradient that a player gets."""

    step_size: Hyperparameter = 1e-3

    per_player = True
    grids = {"step_size": LEARNING_RATES}

    @abstractmethod
    def memory(self, player: Tensor) -> Any:
        """The rule's memory of a player at (B, k), before its first gradient."""

    @abstractmethod
    def move(self, which: int, gradient: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """Δ, by which player 0 (x) or 1 (y) is to move, (B, k), and the next memory."""

    def memories(self, game: Game, z: Tensor) -> Memories:
        """Both players' memories at the start."""
        return Memories(*(self.memory(player) for player in game.split(z)))

    def moves(self, game: Game, field: Tensor, memories: Memories) -> tuple[Tensor, Memories]:
        """Both players' moves for a field, (B, d), and the next memories."""
        of_x, of_y = game.split(field)
        dx, memory_x = self.move(0, of_x, memories.x)
        dy, memory_y = self.move(1, of_y, memories.y)
        return join((dx, dy)), Memories(memory_x, memory_y)


@dataclass(frozen=True, eq=False)
class ByAdam(ByRule[State]):
    """m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², Δ = −η·m̂/(√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ likewise.

    With β₁ = 0 it is RMSprop, corrected for its start.
    """

    beta1: Hyperparameter = 0.9
    beta2: Hyperparameter = 0.999
    epsilon: Hyperparameter = 1e-8

    grids = {"step_size": LEARNING_RATES, "beta1": BETA1}

    def __post_init__(self) -> None:
        super().__post_init__()
        BETA1.check("beta1", self.beta1)
        BETA2.check("beta2", self.beta2)
        EPSILON.check("epsilon", self.epsilon)

    def memory(self, player: Tensor) -> Moments:
        nothing = torch.zeros_like(player)
        return Moments(nothing, nothing, player.new_zeros(len(player), 1))

    def move(self, which: int, gradient: Tensor, memory: Moments) -> tuple[Tensor, Moments]:
        eta, beta1, beta2, epsilon = (
            of_player(value, which)
            for value in (self.step_size, self.beta1, self.beta2, self.epsilon)
        )
        time = memory.time + 1
        # In place where no derivative needs what was there: networks have millions of coordinates.
        mean = torch.lerp(gradient, memory.mean, beta1)
        square = (gradient * gradient).lerp_(memory.square, beta2)
        root = (1 - torch.pow(beta2, time)).sqrt()
        # √v̂ + ε, times the root that then stands in the numerator, too.
        spread = square.pow(0.5).add_(epsilon * root)
        ratio = mean / spread if spread.requires_grad else torch.div(mean, spread, out=spread)
        return ratio.mul_(eta * root / (torch.pow(beta1, time) - 1)), Moments(mean, square, time)


@dataclass(frozen=True, eq=False)
class BySGD(ByRule[State]):
    """v ← μv + (1 − τ)g, at first v = g, Δ = −ηv."""

    momentum: Hyperparameter = 0.0
    dampening: Hyperparameter = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        BETA1.check("momentum", self.momentum)

    def memory(self, player: Tensor) -> Velocity:
        return Velocity(torch.zeros_like(player), player.new_zeros(len(player), 1))

    def move(self, which: int, gradient: Tensor, memory: Velocity) -> tuple[Tensor, Velocity]:
        eta, momentum, dampening = (
            of_player(value, which) for value in (self.step_size, self.momentum, self.dampening)
        )
        later = momentum * memory.velocity + (1 - dampening) * gradient
        velocity = torch.where(memory.time == 0, gradient, later)
        return -eta * velocity, Velocity(velocity, memory.time + 1)

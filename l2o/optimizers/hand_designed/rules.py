"""Rules that turn a player's gradients into updates, Adam's and SGD's, and the plain schemes.

Axes: B instances, k coordinates of one player, d joint coordinates.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, join
from l2o.io import checks
from l2o.optimizers.base import OracleCalls, State
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
    """A scheme around a rule, which makes an update u of every gradient that a player gets."""

    step_size: Hyperparameter = 1e-3

    per_player = True
    grids = {"step_size": LEARNING_RATES}

    @abstractmethod
    def memory(self, player: Tensor) -> Any:
        """The rule's memory of a player at (B, k), before its first gradient."""

    @abstractmethod
    def update(self, which: int, gradient: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """u, by which player 0 (x) or 1 (y) is to step down, (B, k), and the next memory."""

    def memories(self, game: Game, z: Tensor) -> Memories:
        """Both players' memories at the start."""
        return Memories(*(self.memory(player) for player in game.split(z)))

    def updates(self, game: Game, field: Tensor, memories: Memories) -> tuple[Tensor, Memories]:
        """Both players' updates for a field, (B, d), and the next memories."""
        of_x, of_y = game.split(field)
        u, memory_x = self.update(0, of_x, memories.x)
        v, memory_y = self.update(1, of_y, memories.y)
        return join((u, v)), Memories(memory_x, memory_y)


@dataclass(frozen=True, eq=False)
class ByAdam(ByRule[State]):
    """m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², u = η·m̂/(√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ likewise.

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

    def update(self, which: int, gradient: Tensor, memory: Moments) -> tuple[Tensor, Moments]:
        eta, beta1, beta2, epsilon = (
            of_player(value, which)
            for value in (self.step_size, self.beta1, self.beta2, self.epsilon)
        )
        time = memory.time + 1
        mean = torch.lerp(gradient, memory.mean, beta1)
        square = torch.lerp(gradient * gradient, memory.square, beta2)
        root = (1 - beta2**time).sqrt()
        # √v̂ + ε, times the root that also stands in the numerator.
        scale = eta * root / (1 - beta1**time)
        return scale * (mean / (square.sqrt() + epsilon * root)), Moments(mean, square, time)


@dataclass(frozen=True, eq=False)
class BySGD(ByRule[State]):
    """v ← μv + (1 − τ)g, at first v = g, u = ηv."""

    momentum: Hyperparameter = 0.0
    dampening: Hyperparameter = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        BETA1.check("momentum", self.momentum)

    def memory(self, player: Tensor) -> Velocity:
        return Velocity(torch.zeros_like(player), player.new_zeros(len(player), 1))

    def update(self, which: int, gradient: Tensor, memory: Velocity) -> tuple[Tensor, Velocity]:
        eta, momentum, dampening = (
            of_player(value, which) for value in (self.step_size, self.momentum, self.dampening)
        )
        later = momentum * memory.velocity + (1 - dampening) * gradient
        velocity = torch.where(memory.time == 0, gradient, later)
        return eta * velocity, Velocity(velocity, memory.time + 1)


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
        if not self.alternating:
            moved, state = self.updates(game, game.field(z), state)
            return z - moved, state
        (x, y), (of_x, of_y) = game.split(z), state
        for _ in range(self.critic_steps):
            moved, of_y = self.update(1, game.field_y(x, y), of_y)
            y = game.project_y(y - moved)
        moved, of_x = self.update(0, game.field_x(x, y), of_x)
        return join((x - moved, y)), Memories(of_x, of_y)


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

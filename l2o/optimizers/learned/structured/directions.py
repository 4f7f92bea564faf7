"""What an update is made of: directions that know the game, and the scale they are measured in.

Axes: B instances, d = m + n joint coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game


class Sight(NamedTuple):
    """What is known at z_t when a step is chosen."""

    game: Game
    point: Tensor
    """z_t, (B, d)"""
    field: Tensor
    """G_t = (∇ₓf, ∇_y g), (B, d)"""
    move: Tensor
    """z_t − z_{t−1}, (B, d)"""
    change: Tensor
    """G_t − G_{t−1}, (B, d)"""
    constant: Tensor
    """The Lipschitz estimate L, (B, 1)"""


def gradient(sight: Sight) -> Tensor:
    """−G_t/L: each player descends its cost."""
    return -sight.field / sight.constant


def optimism(sight: Sight) -> Tensor:
    """−(G_t − G_{t−1})/L: the change that OGDA expects to go on."""
    return -sight.change / sight.constant


def momentum(sight: Sight) -> Tensor:
    """z_t − z_{t−1}."""
    return sight.move


def coupling(sight: Sight) -> Tensor:
    """−(∇²xy f·Δy, ∇²yx g·Δx)/L: LEAD's force; one more oracle call an iteration."""
    return -sight.game.coupling(sight.point, sight.move) / sight.constant


DIRECTIONS: dict[str, Callable[[Sight], Tensor]] = {
    "gradient": gradient,
    "optimism": optimism,
    "momentum": momentum,
    "coupling": coupling,
}
"""By name; each is of the length of a step, so that its coefficient has no unit."""
FIRST = {"gradient": 0.45, "optimism": 0.45}
"""Coefficients before training, 0 where not named: optimistic gradient descent-ascent."""
CALLS = {"coupling": 1.0}
"""Oracle calls an iteration beside the field itself."""


def largest(constant: Tensor, steepness: Tensor) -> Tensor:
    """max(L, ℓ): right where the field is affine; one steep spot slows it for good."""
    return torch.maximum(constant, steepness)


def decayed(constant: Tensor, steepness: Tensor) -> Tensor:
    """max(0.9 L, ℓ): what was steep is forgotten within some tens of iterations."""
    return torch.maximum(0.9 * constant, steepness)


def none(constant: Tensor, steepness: Tensor) -> Tensor:
    """1: steps in the units of f."""
    return torch.ones_like(constant)


NORMALIZERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "decayed": decayed,
    "largest": largest,
    "none": none,
}
"""The next L from the last one and the slope ℓ = ‖ΔG‖/‖Δz‖ of the last step."""

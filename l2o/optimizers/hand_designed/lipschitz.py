"""The running Lipschitz estimate of adaptive methods: the steepest change of G seen so far."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game
from l2o.norms import norm

PROBE = 1e-2
"""The length of the first probing step."""
SMALLEST = 1e-8
"""The smallest estimate: where G does not change at all, any finite step will do."""


class Lipschitz(NamedTuple):
    """The estimate so far."""

    constant: Tensor
    """L, (B, 1)"""


def probe(game: Game, z: Tensor, field: Tensor) -> Tensor:
    """L from one step of length 1e-2 along −G(z): ‖G(z') − G(z)‖ / ‖z' − z‖, (B, 1); one call."""
    moved = z - PROBE * field / norm(field).clamp(min=torch.finfo(z.dtype).tiny)
    return steepest(torch.full_like(z[:, :1], SMALLEST), game.field(moved) - field, moved - z)


def steepest(constant: Tensor, change: Tensor, moved: Tensor) -> Tensor:
    """max(L, ‖ΔG‖ / ‖Δz‖), (B, 1); a change without a move, or not finite, leaves L as it is."""
    still = (moved == 0).all(1, keepdim=True)
    # Guarded inside as well: the gradient of what is not used must not be NaN.
    ratio = norm(torch.where(still, 0, change)) / norm(torch.where(still, 1, moved))
    return torch.where(ratio.isfinite(), torch.maximum(constant, ratio), constant)

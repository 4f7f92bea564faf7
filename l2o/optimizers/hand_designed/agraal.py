"""aGRAAL: the golden ratio algorithm with a step size from the local Lipschitz constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game
from l2o.io import checks
from l2o.norms import norm
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import HandDesigned
from l2o.optimizers.hand_designed.lipschitz import PROBE

LARGEST_STEP = 1e6
"""The largest step size, where G does not change and the rule would let it grow for ever."""
GOLDEN_RATIO = (1 + 5**0.5) / 2


class GoldenState(NamedTuple):
    """The memory of aGRAAL."""

    average: Tensor
    """z̄, (B, d)"""
    point: Tensor
    """z_{k−1}, (B, d)"""
    field: Tensor
    """G(z_{k−1}), (B, d)"""
    step_size: Tensor
    """λ_{k−1}, (B, 1)"""
    theta: Tensor
    """θ_{k−1}, (B, 1)"""


@dataclass(frozen=True, eq=False)
class AGRAAL(HandDesigned[GoldenState]):
    """z⁺ = z̄ − λ_k G_k with z̄ = ((φ − 1)z_k + z̄_{−1})/φ and
    λ_k = min{(1/φ + 1/φ²)λ_{k−1}, φθ_{k−1}/(4λ_{k−1})·‖Δz‖²/‖ΔG‖²}, θ_k = φλ_k/λ_{k−1}.

    Nothing to tune: the first λ is the inverse of the Lipschitz constant along a short step.

    Args:
        phi: φ in (1, 1.618]; values well below the golden ratio do better.

    Raises:
        UserError: If φ is out of its range.

    Source: Malitsky (2020); with φ ≠ golden ratio, Alacaoglu, Böhm and Malitsky (2023).
    """

    phi: float = 1.2

    calls = OracleCalls(1, start=2)

    def __post_init__(self) -> None:
        checks.number("phi", self.phi, minimum=1.001, maximum=GOLDEN_RATIO)

    def begin(self, game: Game, z: Tensor) -> GoldenState:
        field = game.field(z)
        past = z + PROBE * field / norm(field).clamp(min=torch.finfo(z.dtype).tiny)
        past_field = game.field(past)
        step_size = norm(past - z) / norm(past_field - field)
        # Where G does not change along the probe: one, and the rule lets it grow.
        step_size = torch.where(step_size.isfinite() & (step_size > 0), step_size, 1)
        return GoldenState(z, past, past_field, step_size, torch.ones_like(step_size))

    def advance(self, game: Game, z: Tensor, state: GoldenState) -> tuple[Tensor, GoldenState]:
        phi, last = self.phi, state.step_size
        field = game.field(z)
        change = (norm(z - state.point) / norm(field - state.field)) ** 2
        local = phi * state.theta / (4 * last) * change
        # 0/0, when neither moves any more, sets no limit.
        local = torch.where(local.isnan(), torch.inf, local)
        step = torch.minimum((1 / phi + 1 / phi**2) * last, local).clamp(max=LARGEST_STEP)
        average = ((phi - 1) * z + state.average) / phi
        moved = average - step * field
        return moved, GoldenState(average, z, field, step, phi * step / last)

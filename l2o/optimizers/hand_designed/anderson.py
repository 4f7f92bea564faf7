"""Anderson acceleration, wrapped around any optimizer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, join
from l2o.io import checks
from l2o.norms import norm
from l2o.optimizers.base import Optimizer, OracleCalls
from l2o.optimizers.hand_designed.base import Grid, HandDesigned, Value, zeros
from l2o.optimizers.hand_designed.extragradient import AdaptiveExtragradient

GROWTH = 10.0
"""A residual so many times the smallest one ends the acceleration, which starts anew."""


class AndersonState(NamedTuple):
    """The memory of the acceleration, M columns, newest first."""

    base: Any
    """The state of the wrapped optimizer."""
    residual_changes: Tensor
    """(B, d, M)"""
    image_changes: Tensor
    """(B, d, M)"""
    residual: Tensor
    """r_{k−1} = T(z_{k−1}) − z_{k−1}, (B, d)"""
    image: Tensor
    """T(z_{k−1}), (B, d)"""
    safe: Tensor
    """T(z) of the z with the smallest residual, (B, d)"""
    smallest: Tensor
    """That residual's norm, (B, 1)"""
    columns: Tensor
    """How many columns are filled, (B, 1); −1 before the first iteration and after a restart."""


@dataclass(frozen=True, eq=False)
class Anderson(HandDesigned[AndersonState]):
    """z⁺ = T(z) − ΔT γ, γ = argmin ‖r − ΔR γ‖² + λ²‖ΔR‖²‖γ‖², r = T(z) − z, T one base step.

    ΔR and ΔT hold the last differences of residuals and images. Where the residual grows to
    10 times the smallest one, or is not finite, it goes back to the image of the best point and
    starts with an empty memory; with an empty memory it is the wrapped optimizer. Where the
    acceleration ‖ΔT γ‖ exceeds τ‖r‖, it is left out.

    Args:
        base: The optimizer whose iterations are accelerated.
        memory: Columns at most; those beyond the number of coordinates would add nothing.
        regularization: λ, above rounding.
        trust: τ in (0, 1e5). Ill-conditioned games need it large, nonconvex ones small.

    Source: Anderson (1965); Walker and Ni (2011), type II.
    """

    base: Optimizer[Any] = field(default_factory=AdaptiveExtragradient)
    memory: int = 10
    regularization: Value = 1e-6
    trust: Value = 1000.0

    grids = {
        "regularization": Grid(1e-10, 1e-4, points=3, log=True, above=1e-15, below=10),
        "trust": Grid(1, 1e4, points=5, log=True, above=0, below=1e5),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("memory", self.memory)
        if not isinstance(self.base, Optimizer):
            raise checks.refusal("base", "an optimizer", self.base)

    def oracle_calls(self, game: Game) -> OracleCalls:
        return self.base.oracle_calls(game)

    def begin(self, game: Game, z: Tensor) -> AndersonState:
        empty = z.new_zeros(*z.shape, min(self.memory, z.shape[1]))
        nothing = zeros(z)
        base = self.base.init(game, game.split(z))
        return AndersonState(base, empty, empty, z, z, z, nothing + torch.inf, nothing - 1)

    def advance(self, game: Game, z: Tensor, state: AndersonState) -> tuple[Tensor, AndersonState]:
        moved, base = self.base.step(game, game.split(z), state.base)
        image = join(moved)
        residual = image - z
        size = norm(residual)
        failed = ~(size <= GROWTH * state.smallest)  # written so that NaN counts
        best = size < state.smallest
        safe = torch.where(best, image, state.safe)
        smallest = torch.where(best, size, state.smallest)

        columns = torch.where(failed, -1, state.columns + 1)
        r_changes = _pushed(state.residual_changes, residual - state.residual, columns)
        t_changes = _pushed(state.image_changes, image - state.image, columns)
        weights = _least_squares(r_changes, residual, self.regularization)
        correction = (t_changes @ weights.unsqueeze(-1)).squeeze(-1)
        trusted = norm(correction) <= self.trust * size
        z = torch.where(failed, safe, torch.where(trusted, image - correction, image))
        return z, AndersonState(
            base, r_changes, t_changes, residual, image, safe, smallest, columns
        )


def _pushed(changes: Tensor, newest: Tensor, columns: Tensor) -> Tensor:
    """The memory with a new first column; those not filled are zero."""
    count = changes.shape[2]
    ages = torch.arange(count, dtype=newest.dtype, device=newest.device)
    pushed = torch.cat((newest.unsqueeze(2), changes[:, :, : count - 1]), dim=2)
    return torch.where((ages < columns).unsqueeze(1), pushed, 0)


def _least_squares(matrix: Tensor, right: Tensor, regularization: Value) -> Tensor:
    """argmin ‖right − matrix γ‖² + λ²‖matrix‖²‖γ‖² for each instance, (B, M)."""
    # To scale first keeps the squares of a residual of 1e-200 from underflowing.
    scale = matrix.abs().amax(dim=(1, 2), keepdim=True)
    matrix = matrix / torch.where(scale > 0, scale, 1)
    gram = matrix.mT @ matrix
    trace = gram.diagonal(dim1=1, dim2=2).sum(1, keepdim=True)
    # An empty memory has the solution zero.
    ridge = torch.where(trace > 0, regularization**2 * trace, 1)
    gram = gram + torch.diag_embed(ridge.expand(-1, gram.shape[1]))
    slope = matrix.mT @ (right.unsqueeze(-1) / torch.where(scale > 0, scale, 1))
    weights: Tensor = torch.linalg.solve_ex(gram, slope)[0]
    return weights.squeeze(-1)

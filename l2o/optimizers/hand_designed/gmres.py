"""GMRES: the best iterate that gradients alone allow, where the field is affine.

Axes: B instances, d joint coordinates, K Krylov vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game
from l2o.io.errors import UserError
from l2o.norms import norm, or_one
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import HandDesigned, zeros

BREAKDOWN = 100.0
"""In units of rounding: a new direction this much shorter than its image is none."""


class Krylov(NamedTuple):
    """The start, and an orthonormal basis of the Krylov space with its images."""

    anchor: Tensor
    """z₀, (B, d)"""
    field: Tensor
    """G(z₀), (B, d)"""
    basis: Tensor
    """v₁, v₂, …, (B, d, K), zero where not yet known."""
    images: Tensor
    """M v₁, M v₂, …, (B, d, K)"""
    iteration: Tensor
    """k, (B, 1)"""


@dataclass(frozen=True, eq=False)
class GMRES(HandDesigned[Krylov]):
    """z_k = argmin ‖G(z)‖ over z₀ + span{G₀, M G₀, …, M^{k−1} G₀}, M the Jacobian of G.

    The physical limit of first-order methods on quadratic problems: in exact arithmetic done
    after m + n iterations. It keeps the whole basis.

    Raises:
        UserError: At the start, on a game whose field is not affine.

    Source: Saad and Schultz (1986).
    """

    calls = OracleCalls(1, start=1)

    def begin(self, game: Game, z: Tensor) -> Krylov:
        if not game.affine:
            raise UserError(
                "GMRES: expected a game whose field is affine (affine = True of its problem), got "
                "one that is not; choose another method"
            )
        field = game.field(z)
        empty = z.new_zeros(*z.shape, z.shape[1])
        basis = empty.clone()
        basis[:, :, 0] = field / or_one(norm(field))
        return Krylov(z, field, basis, empty, zeros(z))

    def advance(self, game: Game, z: Tensor, state: Krylov) -> tuple[Tensor, Krylov]:
        anchor, field, basis, images, iteration = state
        if bool((iteration >= basis.shape[2]).all()):
            return z, state
        place = torch.arange(basis.shape[2], dtype=z.dtype, device=z.device)
        current, following = place == iteration, place == iteration + 1
        newest = (basis * current.unsqueeze(1)).sum(2)
        image = game.field(anchor + newest) - field
        images = images + image.unsqueeze(2) * current.unsqueeze(1)

        # Twice is enough to keep the basis orthogonal (Giraud et al. 2005).
        direction = image
        for _ in range(2):
            shares = basis.mT @ direction.unsqueeze(-1)
            direction = direction - (basis @ shares).squeeze(-1)
        rounding = BREAKDOWN * torch.finfo(z.dtype).eps
        spanned = norm(direction) <= rounding * norm(image)
        direction = torch.where(spanned, 0, direction / or_one(norm(direction)))
        basis = basis + direction.unsqueeze(2) * following.unsqueeze(1)

        # The decomposition of one instance that is not finite would fail for all.
        weights = torch.linalg.pinv(images.nan_to_num(0.0, 0.0, 0.0)) @ field.unsqueeze(-1)
        z = anchor - (basis @ weights).squeeze(-1)
        return z, Krylov(anchor, field, basis, images, iteration + 1)

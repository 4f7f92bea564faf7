"""A memory of how the field changed along the last steps, kept orthonormal.

Axes: B instances, K pairs, d joint coordinates.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from l2o.norms import length


class Secants(NamedTuple):
    """Pairs (p, q) with J p = q where the field is affine with the Jacobian J; newest first.

    The q are orthonormal, so that the best combination of them takes inner products alone. Where
    G is affine and its Jacobian (skew-)symmetric, as in a bilinear game, a Krylov sequence is
    orthogonal to all but the last few of its changes: a few pairs then do what a memory of all of
    them would (as in MINRES, and in short-term Anderson mixing).
    """

    moves: Tensor
    """p, (B, K, d)"""
    changes: Tensor
    """q, (B, K, d); zero where not filled."""

    @classmethod
    def empty(cls, z: Tensor, count: int) -> Secants:
        """Room for `count` pairs, none beyond the number of coordinates, (B, d)."""
        nothing = z.new_zeros(len(z), min(count, z.shape[1]), z.shape[1])
        return cls(nothing, nothing)

    def pushed(self, move: Tensor, change: Tensor, point: Tensor) -> Secants:
        """The memory with a new pair instead of the oldest, orthogonal to the others.

        A pair that carries rounding alone is not remembered: at a solution such pairs would lead
        away from it.

        Args:
            move: z_t − z_{t−1}, (B, d).
            change: G_t − G_{t−1}, (B, d).
            point: z_t, (B, d), for what is rounding there.
        """
        if not self.moves.shape[1]:
            return self
        moves, changes = self.moves[:, :-1], self.changes[:, :-1]
        kind = torch.finfo(change.dtype)
        moved, unit, far = (
            part.detach().abs().amax(1, keepdim=True) for part in (move, change, point)
        )
        teaches = (moved > kind.eps * (far + kind.eps**0.5)) & (unit > kind.tiny**0.5 * moved)
        # In units of the change no square underflows, whatever the scale of f; the unit drops out.
        unit = torch.where(teaches, unit, 1)
        p, q = move / unit, change / unit
        before = length(q)
        for _ in range(2):  # twice is enough (Giraud et al. 2005)
            shares = (changes @ q.unsqueeze(2)).mT
            q, p = q - (shares @ changes).squeeze(1), p - (shares @ moves).squeeze(1)
        size = length(q)
        # What is left of a change that the others span is mostly rounding.
        adds = teaches & (size > kind.eps**0.5 * before)
        scale = (1 / size).masked_fill(~adds, 0)
        return Secants(
            torch.cat(((p * scale).unsqueeze(1), moves), dim=1),
            torch.cat(((q * scale).unsqueeze(1), changes), dim=1),
        )

    def without(self, rows: Tensor) -> Secants:
        """The memory, emptied for some instances, (B, 1)."""
        gone = rows.unsqueeze(2)
        return Secants(self.moves.masked_fill(gone, 0), self.changes.masked_fill(gone, 0))

    def solve(self, field: Tensor) -> tuple[Tensor, Tensor]:
        """The step within the span of the moves after which an affine field is shortest.

        Args:
            field: G_t, (B, d).

        Returns:
            a = −P Qᵀ G_t and what is left of the field, r = G_t − Q Qᵀ G_t, (B, d) each.
        """
        shares = (self.changes @ field.unsqueeze(2)).mT
        return -(shares @ self.moves).squeeze(1), field - (shares @ self.changes).squeeze(1)

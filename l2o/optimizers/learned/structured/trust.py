"""How far a step is believed: the field is taken for affine until it is caught not to be.

Axes: B instances, d joint coordinates.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from l2o.norms import length

PROBE = 1e-2
"""The length of the probing step before the first iteration, and of the first step."""
GROWTH = 4.0
"""What the radius grows by in every iteration, so that an affine field is soon unlimited."""
UNLIMITED = 1e9
"""The largest radius."""
STRETCH = 2.0
"""The longest step in units of the longest of late, where the field is not affine."""
FADING = 0.9
"""What is left of the longest step of late after an iteration."""
STEEPER = 1.5
"""How much steeper than anything seen an affine field may prove."""
SURPRISE = 0.5
"""The part of the field's length that it may differ from the prediction besides."""


class Trust(NamedTuple):
    """What the next value of the field is held against."""

    expected: Tensor
    """The field at the next point, up to its change along `unknown`, if it is affine, (B, d)."""
    unknown: Tensor
    """The length of the step outside the known secants; infinite: nothing to test, (B, 1)."""
    steepest: Tensor
    """The largest ‖ΔG‖/‖Δz‖ seen, (B, 1)."""
    longest: Tensor
    """The longest step of late, (B, 1)."""
    radius: Tensor
    """The longest step believed while the field is taken for affine, (B, 1)."""
    affine: Tensor
    """Whether it is still taken for affine, (B, 1)."""
    cut: Tensor
    """Whether the last step was not the one that the secants call for, (B, 1)."""

    @classmethod
    def begin(cls, field: Tensor, constant: Tensor) -> Trust:
        """Before the first iteration.

        Args:
            field: G_0, (B, d).
            constant: The slope along the probing step, (B, 1).
        """
        probe = torch.full_like(constant, PROBE)
        yes = torch.ones_like(constant, dtype=torch.bool)
        return cls(field, probe / 0, constant, probe, probe / GROWTH, yes, yes)

    def caught(self, field: Tensor, last: Tensor) -> Tensor:
        """Where the field proves not to be affine, for the first time, (B, 1).

        On an affine field ‖G_t − Ĝ_t‖ = ‖J u‖ ≤ ‖J‖‖u‖, u the unknown part of the step.

        Args:
            field: G_t, (B, d).
            last: G_{t−1}, (B, d).
        """
        error = length(field - self.expected)
        allowed = STEEPER * self.steepest * self.unknown + SURPRISE * length(last)
        return self.affine & ~(error <= allowed)  # written so that NaN counts

    def grown(self, caught: Tensor, steepness: Tensor, moved: Tensor) -> Trust:
        """With what the last step has shown, (B, 1) each."""
        longest = torch.where(caught, self.longest, torch.maximum(FADING * self.longest, moved))
        return self._replace(
            steepest=torch.maximum(self.steepest, steepness),
            longest=longest,
            radius=(GROWTH * self.radius).clamp(max=UNLIMITED),
            affine=self.affine & ~caught,
        )

    def reach(self) -> Tensor:
        """The longest way within the span of the secants that is gone, (B, 1)."""
        return torch.where(self.affine, self.radius, self.longest)

    def shortened(self, step: Tensor, by_secants: Tensor) -> Tensor:
        """The factor ≤ 1 on a step, (B, 1)."""
        limit = torch.where(self.affine & by_secants, self.radius, STRETCH * self.longest)
        size = length(step)
        longer = size > limit
        return torch.where(longer, limit / torch.where(longer, size, 1), 1)

"""What a problem without known solutions is measured by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

if TYPE_CHECKING:
    from l2o.problems.base import Theta


@dataclass(frozen=True)
class Measure:
    """A number that says how good an iterate is.

    Attributes:
        name: As in tables and metrics: `modes_covered`.
        of: Of x, (B, m), y, (B, n), and θ without a draw, to (B,). It must draw nothing: what is
            random belongs into θ, so that all iterates are measured on the same.
        higher: Whether more is better.
        worst: What a diverged iterate counts as.
    """

    name: str
    of: Callable[[Tensor, Tensor, Theta], Tensor]
    higher: bool
    worst: float

    def costs(self, values: Tensor) -> Tensor:
        """The values, their sign such that the lowest is best."""
        return -values if self.higher else values


class Samples(NamedTuple):
    """Points in the plane: what a model is to generate, and what it does."""

    real: Tensor
    """(…, N, 2)"""
    generated: Tensor
    """(…, N, 2)"""

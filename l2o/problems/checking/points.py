"""Where a problem is tried: generic points at which it is defined.

Axes: B instances, d joint coordinates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from l2o.games import Iterate, join
from l2o.io.errors import UserError
from l2o.io.seeds import generator
from l2o.problems.checking.names import costs_of, named
from l2o.problems.instances import Instances

SPREADS = (0.1, 1e-3, 0.0)
"""How far the points are from the start at most: a start may be one that nothing is typical of."""


def noise(like: Tensor, *stream: str) -> Tensor:
    """Normal numbers of the shape and type of a tensor."""
    source = generator(0, "check", *stream)
    return torch.randn(like.shape, generator=source, dtype=torch.float64).to(like)


def defined_points(game: Instances, start: Iterate) -> tuple[Instances, Tensor]:
    """Those instances whose costs are defined at some point that is tried, and these points.

    They are close to the start if there are any, else close to the origin or in its positive
    orthant.

    Raises:
        UserError: If all costs are undefined because of a parameter that is not finite.
    """
    z = join(start)
    offset = noise(z, "points")
    tried = [z + spread * offset for spread in SPREADS]
    tried += [offset, offset.abs(), 10 * offset.abs()]
    best = [(_defined(game, point), point) for point in tried]
    never = ~torch.stack([defined for defined, _ in best]).any(0)
    for name, value in game.theta.items():
        if never.all() and not value.isfinite().all():
            raise UserError(
                f"{named(game, 'sample_parameters')}: expected finite numbers in {name}, got NaN "
                f"or infinity, with which {costs_of(game)} is defined nowhere"
            )
    # The first of those with the most.
    defined, point = max(best, key=lambda one: int(one[0].sum()))
    return game.select(defined), point[defined]


def _defined(game: Instances, z: Tensor) -> Tensor:
    """Whether both costs are finite, (B,)."""
    try:
        return torch.stack(game.costs(*game.split(z))).isfinite().all(0)
    except Exception:  # of whatever kind: some refuse points outside of their domain
        return torch.zeros(len(z), dtype=torch.bool)

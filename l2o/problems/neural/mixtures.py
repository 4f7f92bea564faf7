"""Mixtures of Gaussians in the plane: where their centres are, and how well samples match.

Axes: B mixtures, K components, N samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

GOOD = 4
"""A sample is good within so many deviations of a centre."""
COVERED = 1 / 5
"""A mode is covered by at least this part of its fair share of the samples."""


def _ring(count: int, components: int, generator: torch.Generator) -> Tensor:
    """Centres on the unit circle, the first at angle 0."""
    angle = 2 * math.pi * torch.arange(components) / components
    return torch.stack((angle.cos(), angle.sin()), dim=1).expand(count, -1, -1)


def _grid(count: int, components: int, generator: torch.Generator) -> Tensor:
    """The first centres of the smallest square grid that has enough, within [−1, 1]²."""
    side = math.isqrt(components - 1) + 1
    line = torch.linspace(-1, 1, side) if side > 1 else torch.zeros(1)
    return torch.cartesian_prod(line, line)[:components].expand(count, -1, -1)


def _cloud(count: int, components: int, generator: torch.Generator) -> Tensor:
    """Centres anywhere in [−1, 1]²."""
    return 2 * torch.rand(count, components, 2, generator=generator) - 1


def _spiral(count: int, components: int, generator: torch.Generator) -> Tensor:
    """Centres along one turn of a spiral that ends on the unit circle."""
    radius = torch.arange(1, components + 1) / components
    angle = 2 * math.pi * radius
    points = torch.stack((radius * angle.cos(), radius * angle.sin()), dim=1)
    return points.expand(count, -1, -1)


SHAPES: dict[str, Callable[[int, int, torch.Generator], Tensor]] = {
    "ring": _ring,
    "grid": _grid,
    "cloud": _cloud,
    "spiral": _spiral,
}
"""What centres form, by name; each makes (count, components, 2) of them."""


def sample_centres(
    shapes: Sequence[str], count: int, components: int, turned: bool, generator: torch.Generator
) -> Tensor:
    """Centres of mixtures, each of one of the shapes at random, (count, components, 2).

    Args:
        shapes: Names in `SHAPES`.
        count: How many mixtures.
        components: K.
        turned: Whether each is turned about the origin by a random angle.
        generator: The only source of randomness.
    """
    kinds = torch.stack([SHAPES[name](count, components, generator) for name in shapes])
    centres = kinds[torch.randint(len(shapes), (count,), generator=generator), torch.arange(count)]
    if not turned:
        return centres
    angle = 2 * math.pi * torch.rand(count, generator=generator)
    cos, sin = angle.cos(), angle.sin()
    return centres @ torch.stack((cos, sin, -sin, cos), dim=1).view(count, 2, 2)


def energy_distance(first: Tensor, second: Tensor) -> Tensor:
    """2E‖u − v‖ − E‖u − u′‖ − E‖v − v′‖ ≥ 0 between the samples u and v of each row, (B,).

    Every pair counts, a sample with itself too: the distance between what was drawn, which is
    never negative, and about (E‖u − u′‖ + E‖v − v′‖)/N for two samples of one distribution.

    Args:
        first: u, (B, N, ·).
        second: v, (B, N, ·).

    Source: Székely and Rizzo (2013).
    """
    across, within, beside = (
        _distances(*pair).mean(dim=(1, 2))
        for pair in ((first, second), (first, first), (second, second))
    )
    return 2 * across - within - beside


def good_share(samples: Tensor, centres: Tensor, deviation: Tensor) -> Tensor:
    """The share of samples within four deviations of a centre, (B,).

    Args:
        samples: (B, N, 2).
        centres: (B, K, 2).
        deviation: (B, 1).
    """
    near = _distances(samples, centres).amin(2) <= GOOD * deviation
    return near.to(samples.dtype).mean(1)


def modes_covered(samples: Tensor, centres: Tensor, deviation: Tensor) -> Tensor:
    """The share of centres with at least a fifth of their fair share of good samples, (B,).

    Arguments as of `good_share`. A sample belongs to the centre nearest to it.
    """
    distance, nearest = _distances(samples, centres).min(2)
    counts = samples.new_zeros(centres.shape[:2])
    counts.scatter_add_(1, nearest, (distance <= GOOD * deviation).to(samples.dtype))
    fair = samples.shape[1] / centres.shape[1]
    return (counts >= COVERED * fair).to(samples.dtype).mean(1)


def _distances(first: Tensor, second: Tensor) -> Tensor:
    """‖u − v‖ of every pair, exact where they nearly coincide, (B, N, M)."""
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")

"""Sets that a group's parameters may be held to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from l2o.io import checks

Projection = Callable[[Tensor], Tensor]


def projection_of(constraint: Any) -> Projection:
    """The projection onto a set, of a group's raveled parameters (1, k).

    Args:
        constraint: `"nonneg"`, `"simplex"`, `("box", low, high)`, a projection, or None for all.

    Raises:
        UserError: If it is none of these.
    """
    if constraint is None:
        return lambda point: point
    if callable(constraint):
        projection: Projection = constraint
        return projection
    match constraint:
        case "nonneg":
            return lambda point: point.clamp(min=0)
        case "simplex":
            return simplex
        case ["box", low, high] | ("box", low, high):
            least, most = checks.value_range("constraint", [low, high])
            return lambda point: point.clamp(least, most)
    raise checks.refusal(
        "constraint", '"nonneg", "simplex", ("box", low, high) or a projection', constraint
    )


def simplex(point: Tensor) -> Tensor:
    """The nearest point with coordinates ≥ 0 that add up to 1, for each row of (…, k).

    Source: Duchi et al. (ICML 2008), by sorting.
    """
    ordered = point.sort(dim=-1, descending=True).values
    place = torch.arange(1, point.shape[-1] + 1, dtype=point.dtype, device=point.device)
    excess = ordered.cumsum(-1) - 1
    count = (ordered * place > excess).sum(-1, keepdim=True)
    threshold = excess.gather(-1, count - 1) / count
    return (point - threshold).clamp(min=0)

"""Averages of the iterates, buffers included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from l2o.io import checks

UNIFORM = "uniform"


def check_average(average: object) -> None:
    """Raises UserError unless it is a decay between 0 and 1, `"uniform"` or None."""
    if average is not None and average != UNIFORM:
        checks.number("average", average, minimum=0, maximum=1)


@torch.no_grad()
def update_average(own: dict[str, Any], places: Sequence[Tensor], average: float | str) -> None:
    """Adds the present values to their averages.

    An exponential average begins as a uniform one, so that it owes nothing to the start.

    Args:
        own: Where the averages are kept: `average`, and how many values are in it, `averaged`.
        places: The parameters and buffers.
        average: The decay, or `"uniform"`.
    """
    if len(own.get("average", ())) != len(places):
        own["average"], own["averaged"] = [place.detach().clone() for place in places], 1
        return
    own["averaged"] += 1
    share = 1 / own["averaged"]
    if average != UNIFORM:
        share = max(share, 1 - float(average))
    for mean, place in zip(own["average"], places, strict=True):
        mean.lerp_(place.detach(), share)


@contextmanager
def swapped(places: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[None]:
    """Has other values in the parameters and buffers while in the context."""
    before = [place.detach().clone() for place in places]
    _write(places, values)
    try:
        yield
    finally:
        _write(places, before)


@torch.no_grad()
def _write(places: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for place, value in zip(places, values, strict=True):
        place.copy_(value)

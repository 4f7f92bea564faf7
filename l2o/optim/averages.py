"""Averages of the iterates, buffers included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
def update_average(
    kept: dict[str, Any],
    parameters: Sequence[Tensor],
    buffers: Mapping[str, Tensor],
    average: float | str,
) -> None:
    """Adds the present values to their averages.

    An exponential average begins as a uniform one, so that it owes nothing to the start.

    Args:
        kept: Where the averages are: of `parameters`, of `buffers`, and how many values are in
            them, `count`. Empty at first.
        parameters: The present parameters; new ones are at the end.
        buffers: The present buffers.
        average: The decay, or `"uniform"`.
    """
    count = kept["count"] = kept.get("count", 0) + 1
    share = 1 / count
    if average != UNIFORM:
        share = max(share, 1 - float(average))
    means = kept.setdefault("parameters", [])
    means += [parameter.detach().clone() for parameter in parameters[len(means) :]]
    for mean, parameter in zip(means, parameters, strict=True):
        mean.lerp_(parameter, share)
    means = kept.setdefault("buffers", {})
    for name, buffer in buffers.items():
        if buffer.is_floating_point():
            means.setdefault(name, buffer.clone()).lerp_(buffer, share)


@contextmanager
def swapped(
    kept: Mapping[str, Any], parameters: Sequence[Tensor], buffers: Mapping[str, Tensor]
) -> Iterator[None]:
    """Within the context, the parameters and buffers hold the averages."""
    pairs = list(zip(parameters, kept["parameters"], strict=False))
    pairs += [(buffers[name], mean) for name, mean in kept["buffers"].items() if name in buffers]
    before = [place.detach().clone() for place, _ in pairs]
    _write(pairs)
    try:
        yield
    finally:
        _write([(place, value) for (place, _), value in zip(pairs, before, strict=True)])


@torch.no_grad()
def _write(pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    for place, value in pairs:
        place.copy_(value)

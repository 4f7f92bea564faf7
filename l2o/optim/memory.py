"""A method's state: as a list of tensors, and for other parameters than before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from l2o.games import Costs, Game, Iterate
from l2o.optimizers import Optimizer, map_state, tensors

_PROBES = ((53, 61), (59, 71))
"""Sizes (m, n) that tell by what an axis of a state changes which coordinates it is of."""


class _Still(Game):
    """f = ½‖x‖², g = ½‖y‖²: a game to begin on where only the shape of the state matters."""

    affine = True

    def __init__(self, m: int, n: int) -> None:
        self.m, self.n = m, n

    def __len__(self) -> int:
        return 1

    def costs(self, x: Tensor, y: Tensor) -> Costs:
        return Costs(x.square().sum(1) / 2, y.square().sum(1) / 2)

    def _field(self, z: Tensor) -> Tensor:
        return z

    def _jvp(self, z: Tensor, w: Tensor) -> Tensor:
        return w

    def _resolvent(self, z: Tensor, step: float | Tensor) -> Tensor:
        return z


def fresh_memory(method: Optimizer[Any], start: tuple[Tensor, Tensor]) -> Any:
    """A state of the method as at a start, without an evaluation of the game."""
    x, y = start
    return method.init(_Still(x.shape[1], y.shape[1]), Iterate(x, y))


def structured(like: Any, leaves: Sequence[Tensor]) -> Any:
    """A state from its tensors, in the structure of another."""
    stored = iter(leaves)
    return map_state(lambda _: next(stored), like)


def carried(
    method: Optimizer[Any],
    start: tuple[Tensor, Tensor],
    old: Sequence[Tensor],
    before: tuple[int, int],
    places: tuple[Tensor, Tensor],
) -> Any:
    """What a state becomes when parameters are added, frozen or unfrozen.

    Args:
        method: Whose state it is.
        start: Where the present parameters are, (1, m) and (1, n).
        old: The tensors of the state, of the parameters of before.
        before: How many those were, (m, n).
        places: For each present coordinate of x and of y, which one it was before; −1 if none.

    Returns:
        The old values where there are any, those of a fresh state elsewhere. A state that has no
        coordinates of its own begins anew.
    """
    fresh = fresh_memory(method, start)
    x, y = places
    sources = (x, y, torch.cat((x, torch.where(y < 0, y, y + before[0]))))
    leaves = []
    for new, past, axes in zip(tensors(fresh), old, _coordinates(method, start), strict=True):
        filled = new.clone()
        if not axes and new.shape == past.shape:
            filled = past
        elif len(axes) == 1 and new.ndim == past.ndim:
            ((axis, kind),) = axes.items()
            source = sources[kind].to(past.device)
            there = (source >= 0).nonzero().squeeze(1)
            taken = past.index_select(axis, source[there])
            if taken.shape != filled.index_select(axis, there).shape:
                return fresh
            filled.index_copy_(axis, there, taken)
        else:
            return fresh
        leaves.append(filled)
    return structured(fresh, leaves)


def _coordinates(method: Optimizer[Any], start: tuple[Tensor, Tensor]) -> list[dict[int, int]]:
    """For each tensor of a state, its axes of coordinates: of x (0), of y (1) or of both (2)."""
    one, other = (
        list(tensors(fresh_memory(method, (start[0].new_zeros(1, m), start[1].new_zeros(1, n)))))
        for m, n in _PROBES
    )
    (m, n), (more_m, more_n) = _PROBES
    kinds = {(m, more_m): 0, (n, more_n): 1, (m + n, more_m + more_n): 2}
    return [
        {
            axis: kinds[sizes]
            for axis, sizes in enumerate(zip(a.shape, b.shape, strict=True))
            if sizes[0] != sizes[1]
        }
        for a, b in zip(one, other, strict=True)
    ]


def sources(before: Sequence[int], now: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """For each coordinate of the parameters now, which it was before; −1 if none."""
    begins, begin = {}, 0
    for place in before:
        begins[place], begin = begin, begin + sizes[place]
    parts = [
        torch.arange(sizes[place]) + begins[place]
        if place in begins
        else torch.full((sizes[place],), -1)
        for place in now
    ]
    return torch.cat([torch.zeros(0, dtype=torch.long), *parts])


def copied(value: Any, device: torch.device) -> Any:
    """The same with every tensor copied to a device."""
    if isinstance(value, Tensor):
        return value.to(device, copy=True)
    if isinstance(value, dict):
        return {key: copied(part, device) for key, part in value.items()}
    if isinstance(value, list):
        return [copied(part, device) for part in value]
    return value

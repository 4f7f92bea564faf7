"""A method's state: as a list of tensors, and for other parameters than before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from l2o.games import Costs, Game, Iterate
from l2o.optimizers import Optimizer, map_state, tensors
from l2o.optimizers.hand_designed.acgd import Squares
from l2o.optimizers.hand_designed.rules import Moments, Velocity

_PROBES = ((53, 61), (59, 71))
"""Sizes (m, n) of trial games; how a state's axes vary tells which coordinates they hold."""


AGED = (Moments, Velocity, Squares)
"""Memories of coordinates that end with their age."""


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
    """A state of the method at a start, made without evaluating the game."""
    x, y = start
    return method.init(_Still(x.shape[1], y.shape[1]), Iterate(x, y))


def structured(like: Any, leaves: Sequence[Tensor]) -> Any:
    """A state from its tensors, in the structure of another."""
    stored = iter(leaves)
    return map_state(lambda _: next(stored), like)


def carried(
    fresh: Any,
    old: Sequence[Tensor],
    axes: Sequence[dict[int, int]],
    before: tuple[int, int],
    places: tuple[Tensor, Tensor],
) -> Any:
    """The state after parameters are added, frozen or unfrozen.

    Args:
        fresh: A state of the method where the present parameters are.
        old: The tensors of its state, of the parameters of before.
        axes: Which of their axes are of coordinates, see `coordinates`.
        before: How many parameters those were, (m, n).
        places: For each present coordinate of x and of y, which one it was before; −1 if none.

    Returns:
        The old values where there are any, those of the fresh state elsewhere. A state that has
        no coordinates of its own begins anew.
    """
    x, y = places
    sources = (x, y, torch.cat((x, torch.where(y < 0, y, y + before[0]))))
    sizes = (*before, sum(before))
    stored = iter(zip(old, axes, strict=True))

    def filled(new: Any) -> Any:
        if isinstance(new, Tensor):
            past, of = next(stored)
            if not of and new.shape == past.shape:
                return past
            ((axis, kind),) = of.items()
            return _filled(new, past, axis, sources[kind])
        if isinstance(new, AGED):
            # Coordinates differ in age from now on.
            make: Any = type(new)
            *parts, (time, _) = [next(stored) for _ in new]
            (kind,) = parts[0][1].values()
            pasts = [*(past for past, _ in parts), time.expand(1, sizes[kind])]
            news = [*new[:-1], torch.zeros_like(new[0])]
            pairs = zip(news, pasts, strict=True)
            return make(*(_filled(one, past, 1, sources[kind]) for one, past in pairs))
        return type(new)(*map(filled, new))

    try:
        return filled(fresh)
    except (ValueError, RuntimeError):  # other axes than those of coordinates have changed
        return fresh


def _filled(new: Tensor, past: Tensor, axis: int, source: Tensor) -> Tensor:
    """The new tensor with what the past one has of the same coordinates."""
    source = source.to(past.device)
    there = (source >= 0).nonzero().squeeze(1)
    return new.index_copy(axis, there, past.index_select(axis, source[there]))


def coordinates(method: Optimizer[Any], start: tuple[Tensor, Tensor]) -> list[dict[int, int]]:
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

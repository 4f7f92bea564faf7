"""A method's state without its structure, and with room for more parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from l2o.games import Costs, Game, Iterate
from l2o.optimizers import Optimizer


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


def fresh_memory(method: Optimizer[Any], game: Game, start: Iterate) -> Any:
    """A state of the method as at a start, without an evaluation of the game."""
    return method.init(_Still(game.m, game.n), start)


def grown_memory(
    fresh: Sequence[Tensor],
    old: Sequence[Tensor],
    before: tuple[int, int],
    after: tuple[int, int],
) -> list[Tensor]:
    """Old tensors with room for parameters that were added at the end of a player's.

    Args:
        fresh: The state at a start with all parameters.
        old: The state with those of before; every tensor has the same place in both.
        before: (m, n) of then.
        after: (m, n) of now.

    Returns:
        The fresh tensors, with the old values where they belong.
    """
    (m, n), (new_m, new_n) = before, after
    x, y = torch.arange(m), torch.arange(n)
    places = {
        (m + n, new_m + new_n): torch.cat((x, new_m + y)),
        (m, new_m): x,
        (n, new_n): y,
    }
    grown = []
    for new, past in zip(fresh, old, strict=True):
        if new.shape == past.shape:
            grown.append(past)
            continue
        where = places[past.shape[-1], new.shape[-1]].to(new.device)
        filled = new.clone()
        filled[..., where] = past
        grown.append(filled)
    return grown

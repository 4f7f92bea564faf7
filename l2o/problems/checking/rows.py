"""Instances stay apart: batched is one by one, and one that is lost changes no other."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from l2o.games import join
from l2o.io.errors import UserError
from l2o.problems.checking.calls import STEP
from l2o.problems.checking.names import costs_of, named, trying
from l2o.problems.instances import Instances

Function = Callable[[Instances, Tensor], Tensor]
"""Of a game and a point, (B, d), to (B, k)."""
CLOSE = 1e-9
"""The largest difference, of rounding alone, in units of the largest number."""
APART = (
    "value b must depend on row b alone: no means or norms over the batch, as in .sum() without "
    "an axis"
)


def check_rows(game: Instances, z: Tensor) -> None:
    """Refuses a problem whose instances depend on one another."""
    for where, function in functions(game).items():
        with trying(where, "one instance alone"):
            whole = function(game, z)
            alone = [function(game.select(slice(b, b + 1)), z[[b]]) for b in range(len(game))]
        if not _close(whole, torch.cat(alone), z):
            raise UserError(
                f"{where}: expected of each instance in a batch what it has alone, "
                f"{_some(torch.cat(alone))}, got {_some(whole)}; {APART}"
            )
        if len(game) > 1:
            _check_lost(game, z, where, function, whole)


def _check_lost(
    game: Instances,
    z: Tensor,
    where: str,
    function: Function,
    whole: Tensor,
) -> None:
    """Refuses what does not survive an instance that has diverged."""
    broken = z.clone()
    broken[0] = torch.nan
    with trying(where, "a batch in which one instance has diverged, x and y being NaN"):
        beside = function(game, broken)
    if not _close(whole[1:], beside[1:], z):
        raise UserError(
            f"{where}: expected the others to stay as they are when one instance diverges, got "
            f"{_some(beside[1:])} instead of {_some(whole[1:])}; {APART}"
        )


def functions(game: Instances) -> dict[str, Function]:
    """What the problem itself computes, of z, by the names of its methods."""
    forms: dict[str, Function] = {
        "field": lambda game, z: game.field(z),
        "coupling_x": lambda game, z: game.coupling_x(*game.split(z), game.split(z).y),
        "coupling_y": lambda game, z: game.coupling_y(*game.split(z), game.split(z).x),
        "jvp": lambda game, z: game.jvp(z, z),
        "resolvent": lambda game, z: game.resolvent(z, torch.full_like(z[:, :1], STEP)),
        "nearest": lambda game, z: join(game.problem.nearest(*game.split(z), game.theta)),
    }
    own = {named(game, name): form for name, form in forms.items() if game.problem.overrides(name)}
    return {costs_of(game): lambda game, z: torch.stack(game.costs(*game.split(z)), dim=1), **own}


def _close(first: Tensor, second: Tensor, z: Tensor) -> bool:
    """Whether values at z are equal but for rounding."""
    if first.shape != second.shape:
        return False
    scale = torch.cat((first.flatten(), z.flatten())).nan_to_num(0.0, 0.0, 0.0).abs().max().item()
    return torch.allclose(first, second, rtol=CLOSE, atol=CLOSE * scale, equal_nan=True)


def _some(values: Tensor) -> str:
    """The first numbers of the first row."""
    return ", ".join(f"{value:.4g}" for value in values.flatten()[:3].tolist())

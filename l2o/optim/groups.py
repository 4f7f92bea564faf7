"""The parameter groups of both players: their options, checked, and their values, raveled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.modules import NAMES, Player
from l2o.optim.constraints import projection_of

OPTIONS: dict[str, Any] = {"role": None, "weight_decay": 0.0, "max_norm": None, "constraint": None}
"""What every group has besides the method's hyperparameters, and its default."""

Group = Mapping[str, Any]
Groups = Iterable[Tensor] | Iterable[dict[str, Any]]


def check_group(given: Group, defaults: Group, method: str) -> None:
    """Raises UserError unless a group has known options with allowed values.

    Args:
        given: The group as the user wrote it.
        defaults: What it has where it says nothing.
        method: The method's name, for messages.
    """
    known = {*defaults, "params"}
    for name in given:
        # Schedulers keep what they began with in the group, as initial_lr.
        if name not in known and not name.startswith("initial_"):
            raise UserError(
                f"group: no option {name!r} for {method}; a group has {', '.join(sorted(known))}"
            )
    group = {**defaults, **given}
    if group["role"] not in NAMES:
        raise UserError(
            f'role: expected "min" or "max" for every group, got {checks.shown(group["role"])}'
        )
    checks.number("lr", plain(group["lr"]), minimum=0)
    checks.number("weight_decay", group["weight_decay"], minimum=0)
    if group["max_norm"] is not None:
        checks.positive("max_norm", group["max_norm"])
    projection_of(group["constraint"])


def trained(groups: Iterable[Group]) -> list[Tensor]:
    """The parameters that are not frozen, group by group."""
    return [p for group in groups for p in group["params"] if p.requires_grad]


def of_role(groups: Iterable[Group], which: int) -> list[Group]:
    """The groups of player 0 (min) or 1 (max)."""
    return [group for group in groups if group["role"] == NAMES[which]]


def player_of(groups: Sequence[Group]) -> Player:
    """A player as the game sees it: parameters, and what each part of them is held to."""
    limits, projections, begin = [], [], 0
    for group in groups:
        end = begin + _size(group)
        if group["max_norm"] is not None:
            limits.append((begin, end, float(group["max_norm"])))
        if group["constraint"] is not None:
            projections.append((begin, end, projection_of(group["constraint"])))
        begin = end
    return Player(trained(groups), limits, projections)


def values_of(option: str, groups: Sequence[Group], dtype: torch.dtype) -> float | Tensor:
    """An option of a player's groups: one number if they agree, else one a coordinate, (1, k)."""
    values = [float(plain(group[option])) for group in groups]
    if len(set(values)) <= 1:
        return values[0] if values else 0.0
    device = trained(groups)[0].device
    parts = [
        torch.full((1, _size(group)), value, dtype=dtype, device=device)
        for value, group in zip(values, groups, strict=True)
    ]
    return torch.cat(parts, dim=1)


def plain(value: Any) -> Any:
    """A number, also where a scheduler keeps it in a tensor."""
    return value.item() if isinstance(value, Tensor) else value


def _size(group: Group) -> int:
    return sum(parameter.numel() for parameter in trained([group]))

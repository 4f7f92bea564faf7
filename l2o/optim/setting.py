"""What the parameter groups amount to: the method with their hyperparameters, and both players."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor

from l2o.io.errors import UserError
from l2o.modules import Player
from l2o.optim.constraints import projection_of
from l2o.optim.groups import Group, of_role, plain, trained, values_of
from l2o.optimizers import LearnedOptimizer, Optimizer, Players
from l2o.optimizers.hand_designed.rules import ByRule

STEP_SIZE = {"lr": ("step_size",)}
OF_RULES = {
    **STEP_SIZE,
    "betas": ("beta1", "beta2"),
    "eps": ("epsilon",),
    "momentum": ("momentum",),
    "dampening": ("dampening",),
    "coupling": ("coupling",),
    "adjustment": ("adjustment",),
}
"""Options of a group that are fields of a method."""
WRAPPED = ("base", "optimizer")
"""The names under which wrappers hold what they wrap."""


class Setting(NamedTuple):
    """What the groups amount to at present."""

    method: Optimizer[Any]
    """With the hyperparameters of the groups."""
    players: tuple[Player, Player]
    factors: tuple[float | Tensor, float | Tensor]
    """The factor on each player's step."""
    dtype: torch.dtype
    device: torch.device
    places: list[list[int]]
    """The indices of each player's parameters that are not frozen."""


def setting_of(method: Optimizer[Any], options: Sequence[str], groups: Sequence[Group]) -> Setting:
    """What groups amount to.

    Args:
        method: The method, or a wrapper around it.
        options: Which hyperparameters the groups have.
        groups: Of both players, or of one alone.

    Raises:
        UserError: If groups differ in a hyperparameter that the method has once, are on several
            devices, or have nothing to train.
    """
    device, dtype = _device(groups), _dtype(method, groups)
    roles = [of_role(groups, which) for which in (0, 1)]
    x, y = (_player(mine, dtype) for mine in roles)
    number = {id(p): i for i, p in enumerate(p for group in groups for p in group["params"])}
    factors: tuple[float | Tensor, ...] = (1.0, 1.0)
    if "lr" not in options:
        factors = tuple(values_of(mine, lambda group: plain(group["lr"]), dtype) for mine in roles)
    return Setting(
        _with_options(method, options, groups, dtype),
        (x, y),
        (factors[0], factors[1]),
        dtype,
        device,
        [[number[id(p)] for p in player.parameters] for player in (x, y)],
    )


def innermost(method: Any) -> Any:
    """The method inside all wrappers, whose hyperparameters the groups have."""
    for name in WRAPPED:
        if isinstance(inner := getattr(method, name, None), Optimizer):
            return innermost(inner)
    return method


def options_of(method: Optimizer[Any]) -> dict[str, Any]:
    """The options that are hyperparameters of a method, and its own values."""
    inner = innermost(method)
    # Two step sizes of one player each are no option of a group, nor is a learned one's.
    if isinstance(inner, LearnedOptimizer) or hasattr(inner, "step_size_y"):
        return {}
    known = OF_RULES if isinstance(inner, ByRule) else STEP_SIZE
    options = {}
    for option, fields in known.items():
        if all(hasattr(inner, field) for field in fields):
            values = tuple(getattr(inner, field) for field in fields)
            options[option] = values if len(values) > 1 else values[0]
    return options


def _player(groups: Sequence[Group], dtype: torch.dtype) -> Player:
    limits, projections, begin = [], [], 0
    for group in groups:
        end = begin + sum(parameter.numel() for parameter in trained([group]))
        if group["max_norm"] is not None:
            limits.append((begin, end, float(group["max_norm"])))
        if group["constraint"] is not None:
            projections.append((begin, end, projection_of(group["constraint"])))
        begin = end
    decay = values_of(groups, lambda group: plain(group["lr"]) * group["weight_decay"], dtype)
    return Player(trained(groups), begin, limits, projections, decay)


def _device(groups: Sequence[Group]) -> torch.device:
    devices = {parameter.device for parameter in trained(groups)}
    if not devices:
        raise UserError("params: expected parameters that require gradients, got none")
    if len(devices) > 1:
        names = ", ".join(sorted(map(str, devices)))
        raise UserError(f"params: expected all on one device, got {names}")
    return devices.pop()


def _dtype(method: Optimizer[Any], groups: Sequence[Group]) -> torch.dtype:
    """A learned method's float type, else the widest of the parameters', float32 at least."""
    inner = innermost(method)
    if isinstance(inner, LearnedOptimizer):
        return inner.dtype
    widest = torch.float32
    for parameter in trained(groups):
        widest = torch.promote_types(widest, parameter.dtype)
    return widest


def _with_options(
    method: Optimizer[Any], options: Sequence[str], groups: Sequence[Group], dtype: torch.dtype
) -> Optimizer[Any]:
    changes: dict[str, Any] = {}
    for option in options:
        for place, field in enumerate(OF_RULES[option]):
            changes[field] = _value(option, place, groups, dtype)
            if isinstance(changes[field], Players) and not innermost(method).per_player:
                raise UserError(
                    f"{option}: {type(method).__name__} has one for all groups, got several"
                )
    return _replaced(method, changes) if changes else method


def _value(
    option: str, place: int, groups: Sequence[Group], dtype: torch.dtype
) -> float | Tensor | Players:
    def of(group: Group) -> float:
        value = group[option]
        return float(value[place] if isinstance(value, tuple | list) else plain(value))

    roles = [mine for which in (0, 1) if (mine := of_role(groups, which))]
    values = [values_of(mine, of, dtype) for mine in roles]
    first, last = values[0], values[-1]
    if isinstance(first, Tensor) or isinstance(last, Tensor) or first != last:
        return Players(first, last)
    return first


def _replaced(method: Any, changes: Mapping[str, Any]) -> Any:
    """The method with other values of its innermost one's fields.

    They were checked as options of groups, which may be zero where a method is tuned above it.
    """
    made = copy(method)
    for name in WRAPPED:
        if isinstance(inner := getattr(method, name, None), Optimizer):
            changes = {name: _replaced(inner, changes)}
    for name, value in changes.items():
        object.__setattr__(made, name, value)
    return made

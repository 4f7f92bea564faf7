"""The parameter groups of both players: their options, checked, and their values, raveled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from l2o.closures import NAMES
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.optim.constraints import projection_of

Group = Mapping[str, Any]
Groups = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]

OPTIONS: dict[str, Any] = {"role": None, "weight_decay": 0.0, "max_norm": None, "constraint": None}
"""What every group has besides the method's hyperparameters, and its default."""


def _at_least_zero(name: str, value: Any) -> None:
    checks.number(name, plain(value), minimum=0)


def _check_momentum(name: str, value: Any) -> None:
    if not -1 < checks.number(name, value) < 1:
        raise checks.refusal(name, "a number between -1 and 1", value)


def _check_betas(name: str, value: Any) -> None:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise checks.refusal(name, "a pair (β₁, β₂)", value)
    _check_momentum(f"{name}[0]", value[0])
    if not 0 <= checks.number(f"{name}[1]", value[1]) < 1:
        raise checks.refusal(f"{name}[1]", "a number of at least 0 and below 1", value[1])


def _check_role(name: str, value: Any) -> None:
    if value not in NAMES:
        raise UserError(f'{name}: expected "min" or "max" for every group, got {value!r}')


def _check_norm(name: str, value: Any) -> None:
    if value is not None:
        checks.positive(name, value)


CHECKS: dict[str, Callable[[str, Any], object]] = {
    "role": _check_role,
    "lr": _at_least_zero,
    "weight_decay": _at_least_zero,
    "max_norm": _check_norm,
    "constraint": lambda _, value: projection_of(value),
    "betas": _check_betas,
    "eps": _at_least_zero,
    "momentum": _check_momentum,
    "dampening": checks.number,
    "coupling": checks.positive,
    "adjustment": checks.positive,
}


def check_names(given: Iterable[str], known: Iterable[str], method: str) -> None:
    """Raises UserError unless the options of a group, or of all, are known."""
    for name in given:
        # Schedulers keep what they began with in the group, as initial_lr.
        if name not in known and not name.startswith(("initial_", "max_", "base_", "min_")):
            raise UserError(
                f"group: no option {name!r} for {method}; a group has {', '.join(sorted(known))}"
            )


def check_group(group: Group) -> None:
    """Raises UserError unless a complete group has allowed values, and parameters to train."""
    for name, check in CHECKS.items():
        if name in group:
            check(name, group[name])
    parameters = group["params"]
    if not parameters:
        raise UserError(
            f"params: the group with role {group['role']!r} has no parameters; was its iterator "
            "used before?"
        )
    if len({id(parameter) for parameter in parameters}) < len(parameters):
        raise UserError("params: a parameter is twice in a group")
    for parameter in parameters:
        if isinstance(parameter, Tensor) and not parameter.is_floating_point():
            raise UserError(f"params: expected real numbers, got a tensor of {parameter.dtype}")


def trained(groups: Iterable[Group]) -> list[Tensor]:
    """The parameters that are not frozen, group by group."""
    return [p for group in groups for p in group["params"] if p.requires_grad]


def of_role(groups: Iterable[Group], which: int) -> list[Group]:
    """The groups of player 0 (min) or 1 (max)."""
    return [group for group in groups if group["role"] == NAMES[which]]


def values_of(
    groups: Sequence[Group], value: Callable[[Group], float], dtype: torch.dtype
) -> float | Tensor:
    """A player's groups' values: one number if they agree, else one a coordinate, (1, k)."""
    values = [float(value(group)) for group in groups]
    if len(set(values)) <= 1:
        return values[0] if values else 0.0
    device = groups[0]["params"][0].device
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

"""What a problem's methods return, in every shape that they are called with.

Axes: B instances, m / n coordinates of x / y.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from l2o.games import Iterate
from l2o.io.errors import UserError
from l2o.problems.checking.names import calling, costs_of, expect, expect_pair, named, same, told
from l2o.problems.instances import Instances

FORMS = {
    "field": (),
    "jvp": ("u", "v"),
    "coupling_x": ("v",),
    "coupling_y": ("u",),
    "resolvent": ("step",),
    "nearest": (),
}
"""The closed forms, and what they take besides x, y and θ."""
STEP = 0.1
"""Of the resolvents that are tried."""


def check_calls(game: Instances, start: Iterate) -> None:
    """Refuses results of the wrong shape or type, and methods that fail or change their inputs."""
    x, y = start
    values = _costs(game, x, y)
    if not all(same(*both) for both in zip(values, _costs(game, x, y), strict=True)):
        raise UserError(
            f"{costs_of(game)}: expected the same value at the same point, got another; what is "
            "drawn in each iteration belongs into a method draw(self, count, generator)"
        )
    if game.zero_sum and len(values) == 2 and not same(values[0], -values[1]):
        raise UserError(
            f"{named(game, 'zero_sum')}: expected g = −f, got f = {values[0][0].item():.4g} and "
            f"g = {values[1][0].item():.4g}; declare zero_sum = False, or state g = −f"
        )
    with torch.no_grad():
        _costs(game, x, y)
    stacked = Iterate(torch.stack((x, 2 * x)), torch.stack((y, 2 * y)))
    step = torch.full_like(x[:, :1], STEP)
    for method in FORMS:
        if not game.problem.overrides(method):
            continue
        further = {"u": x + 1, "v": y + 1}
        _form(game, method, start, {**further, "step": STEP})
        _form(game, method, start, {**further, "step": step})
        if method == "nearest":
            _form(game, method, stacked, {})
    if game.problem.broadcasts:
        _costs(game, *stacked)


def _costs(game: Instances, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    method = game.problem.stated_by
    with calling(game, method, x=x, y=y):
        values: Any = getattr(game.problem, method)(x, y, game.theta)
    if method == "costs" and not (isinstance(values, tuple) and len(values) == 2):
        raise UserError(
            f"{costs_of(game)}: expected a pair, Costs(f, g), one cost for each player; "
            f"{told(values)}"
        )
    values = values if method == "costs" else (values,)
    for value in values:
        expect(costs_of(game), "one value per instance", value, x, tuple(x.shape[:-1]))
    return tuple(values)


def _form(game: Instances, method: str, point: Iterate, further: dict[str, Tensor | float]) -> None:
    """Tries one closed form at points, (…, B, m) and (…, B, n)."""
    arguments = {name: further[name] for name in FORMS[method]}
    tensors = {name: part for name, part in arguments.items() if isinstance(part, Tensor)}
    with calling(game, method, x=point.x, y=point.y, **tensors):
        found = getattr(game.problem, method)(*point, *arguments.values(), game.theta)
    if found is None and method != "nearest":
        return  # there is none
    if method.startswith("coupling"):
        like = point.x if method == "coupling_x" else point.y
        expect(named(game, method), f"a value like {method[-1]}", found, like)
    else:
        expect_pair(named(game, method), found, point)

"""Derivatives against finite differences, in double precision.

Axes: B instances, m / n coordinates of x / y, d = m + n joint coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, join
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.norms import norm
from l2o.problems.checking.names import costs_of, named, trying
from l2o.problems.checking.points import noise
from l2o.problems.instances import Instances

STEPS = (1e-4, 1e-5, 1e-6, 1e-7)
"""Of the differences: the large ones have little rounding, the small ones cross few kinks."""
TOLERANCE = 1e-4
"""The largest relative error."""
CLOSE = 1e-6
"""The same of what has no finite differences in it."""
ROUNDING = 1e3
"""Of a value that is differentiated, in units of the last place."""
NUDGE = 1e-12
"""A move that single precision does not see."""
MOVE = 1e-2
"""A move that half precision sees, too."""
PLACES = 9
"""Points of a way along which a piecewise constant function is looked for."""
CUT = (
    "is a part of it cut off from the graph (.detach(), .item(), NumPy, argmax, torch.no_grad()), "
    "or its backward pass another function's?"
)
TWICE = (
    "use functions that can be differentiated twice, without .detach(), or define coupling_x, "
    "coupling_y and jvp; "
    "this matters to methods with products (CGD, LEAD, …) and to meta-gradients through the game"
)


class Compared(NamedTuple):
    """A derivative that was found, and the difference quotient nearest to it."""

    found: Tensor
    """(B, k)"""
    quotient: Tensor
    """(B, k)"""
    wrong: Tensor
    """Whether they differ by more than rounding and kinks explain, (B,)."""

    def numbers(self) -> str:
        """The worst of the wrong ones, for a message: `expected …, got …`."""
        errors = norm(self.found - self.quotient).squeeze(1).nan_to_num(nan=torch.inf)
        row = errors.masked_fill(~self.wrong, -1).argmax()
        place = (self.found - self.quotient)[row].abs().nan_to_num(nan=torch.inf).argmax()
        quotient, found = self.quotient[row, place], self.found[row, place]
        return f"{quotient.item():.4g} by finite differences, got {found.item():.4g}"


def compare(
    found: Tensor, function: Callable[[float], Tensor], scale: Tensor, size: Tensor
) -> Compared:
    """What was found against central difference quotients.

    Args:
        found: (B, k).
        function: The function whose derivative that is, of the step h, (B, k).
        scale: How large such derivatives are, (B, 1).
        size: How large the function's values are, (B, 1).
    """
    best, least = torch.full_like(found, torch.nan), torch.full_like(size, torch.inf)
    wrong, defined = torch.ones_like(size, dtype=torch.bool), torch.zeros_like(size) > 0
    for step in STEPS:
        quotient = (function(step) - function(-step)) / (2 * step)
        here = quotient.isfinite().all(1, keepdim=True)
        error = norm(found - quotient).nan_to_num(nan=torch.inf)
        rounding = ROUNDING * torch.finfo(found.dtype).eps * size / step
        near = error <= TOLERANCE * (scale + norm(quotient)) + rounding
        better = here & ((error < least) | ~defined)
        best, least = torch.where(better, quotient, best), torch.where(better, error, least)
        wrong, defined = wrong & ~(here & near), defined | here
    return Compared(found, best, (wrong & defined).squeeze(1))


def check_slopes(game: Instances, z: Tensor) -> None:
    """Refuses first derivatives that are not those of the costs."""
    where = costs_of(game)
    with trying(where, f"{len(game)} instances, differentiated"):
        costs = game.costs(*game.split(z.detach().requires_grad_()))
        if not all(cost.requires_grad for cost in costs):
            raise UserError(
                f"{where}: expected a function of x and y that PyTorch can differentiate, got "
                "values without a graph; compute them from x and y by differentiable operations "
                "(not through NumPy, .item(), .detach() or argmax)"
            )
        # By automatic differentiation, also where there is a closed form.
        slopes = Game.split(game, Game._field(game, z))
    for player, name in enumerate("xy"):
        along = _of_player(game, noise(z, "slopes"), player)

        def value(step: float, player: int = player, along: Tensor = along) -> Tensor:
            return game.costs(*game.split(z + step * along))[player].unsqueeze(1)

        slope = slopes[player]
        change = (slope * game.split(along)[player]).sum(1, keepdim=True)
        size = value(0).abs()
        _check_precision(where, change, value, size)
        compared = compare(change, value, norm(slope), size)
        if compared.wrong.any():
            raise UserError(
                f"{where}: expected a derivative by {name} in some direction of "
                f"{compared.numbers()}; {CUT}"
            )
        if not slope.any():
            _check_not_flat(game, z, player, where)
    _check_field(game, z, join(slopes))


def _check_precision(
    where: str, change: Tensor, value: Callable[[float], Tensor], size: Tensor
) -> None:
    """Refuses values in double precision that are rounded to single precision."""
    seen = (change * NUDGE).abs() > 100 * torch.finfo(size.dtype).eps * size
    held = (value(NUDGE) == value(0)).all()
    moved = (value(MOVE) - value(0)).abs() > NUDGE * size
    if seen.all() and held and moved.all():
        raise UserError(
            f"{where}: expected to be computed in x's float type, float64, got values that are "
            "rounded to single precision; leave out .float() and the like"
        )


def _check_not_flat(game: Instances, z: Tensor, player: int, where: str) -> None:
    """Refuses a function that changes with a player while its derivative is always zero."""
    way = _of_player(game, noise(z, "way"), player)
    values, slopes = [], []
    for place in torch.linspace(0, 1, PLACES).tolist():
        point = z + place * way
        values.append(game.costs(*game.split(point))[player])
        slopes.append(game.split(Game._field(game, point))[player])
    value = torch.stack(values)
    changes = (value[1:] != value[0]) & value[1:].isfinite()
    if changes.any() and not torch.stack(slopes).any():
        name = "xy"[player]
        raise UserError(
            f"{where}: expected a derivative by {name} wherever it changes with {name}, got zeros "
            "alone; it is piecewise constant (argmax, round, sign, a comparison), use a smooth "
            "function instead"
        )


def _check_field(game: Instances, z: Tensor, slopes: Tensor) -> None:
    """Refuses a field in closed form that is another, or that cannot be differentiated."""
    if not game.problem.overrides("field"):
        return
    where, field = named(game, "field"), game.field(z)
    errors = norm(field - slopes) - TOLERANCE * norm(slopes)
    if (errors > 0).any() or not field[slopes.isfinite()].isfinite().all():
        turned = game.flipped(slopes)
        hint = "; its second part is ∇_y g, −∇_y f in a zero-sum game"
        is_turned = torch.allclose(field, turned, rtol=TOLERANCE)
        row = errors.argmax()
        raise UserError(
            f"{where}: expected (∇ₓf, ∇_y g) = {_rounded(slopes[row])}, the derivatives of "
            f"{costs_of(game)}, got {_rounded(field[row])}{hint if is_turned else ''}"
        )
    _check_partial(game, z)


def _check_partial(game: Instances, z: Tensor) -> None:
    """Refuses a ∇_y g that flows through x where y was computed from x, and the other way round."""
    for player, name in enumerate("xy"):
        held = [part.detach().requires_grad_() for part in game.split(z)]
        own = held[player]
        # The same value as before, and a graph from the one player to the other.
        held[1 - player] = held[1 - player] + (own - own.detach()).sum(1, keepdim=True)
        field = game.problem.field(held[0], held[1], game.theta)
        if field is not None and not torch.allclose(
            field[player], game.split(game.field(z))[player], rtol=CLOSE, atol=CLOSE
        ):
            raise UserError(
                f"{named(game, 'field')}: expected partial derivatives, the other player held "
                f"fixed, got others by {name} where the other was computed from it in a graph"
            )


def check_products(game: Instances, z: Tensor) -> None:
    """Refuses products with the Jacobian that are not those of the field."""
    w, other = noise(z, "w"), noise(z, "other")
    size = norm(game.field(z)) + norm(z)
    (x, y), (u, v) = game.split(z), game.split(w)
    only_u, only_v = (_of_player(game, w, player) for player in (0, 1))
    tried: dict[str, tuple[Callable[[], Tensor], Callable[[float], Tensor]]] = {
        "jvp": (lambda: game.jvp(z, w), lambda h: game.field(z + h * w)),
        "coupling_x": (
            lambda: game.coupling_x(x, y, v),
            lambda h: game.split(game.field(z + h * only_v)).x,
        ),
        "coupling_y": (
            lambda: game.coupling_y(x, y, u),
            lambda h: game.split(game.field(z + h * only_u)).y,
        ),
    }
    for method, (product, function) in tried.items():
        closed = game.problem.overrides(method)
        where = named(game, method) if closed else costs_of(game)
        what = f"{len(game)} instances, differentiated twice; {TWICE}"
        with trying(where, what), checks.naming(where):
            found = product()
        compared = compare(found, function, norm(found), size)
        if compared.wrong.any():
            remedy = "see Problem for its meaning" if closed else TWICE
            raise UserError(
                f"{where}: expected second derivatives ({method}) of {compared.numbers()}; {remedy}"
            )
    _check_transposes(game, z, w, other)


def _check_transposes(game: Instances, z: Tensor, w: Tensor, other: Tensor) -> None:
    """Refuses a Jᵀ that is not the transpose of J, and a field that does not pass gradients."""
    jvp, vjp = game.jvp(z, w), game.vjp(z, other)
    first, second = ((pair[0] * pair[1]).sum(1) for pair in ((other, jvp), (vjp, w)))
    scale = norm(other) * norm(jvp) + norm(vjp) * norm(w)
    rounding = ROUNDING * torch.finfo(z.dtype).eps * norm(other) * (norm(game.field(z)) + norm(w))
    where = costs_of(game)
    if ((first - second).abs() > (CLOSE * scale + rounding).squeeze(1)).any():
        raise UserError(
            f"{where}: expected symmetric second derivatives, ⟨w′, J w⟩ = ⟨Jᵀ w′, w⟩, got "
            f"{first[0].item():.4g} and {second[0].item():.4g}; {TWICE}"
        )
    point = z.detach().requires_grad_()
    field = (game.field(point) * other).sum()
    passed = torch.zeros_like(z)
    if field.requires_grad:
        (passed,) = torch.autograd.grad(field, point, allow_unused=True, materialize_grads=True)
    if (norm(passed - vjp) > CLOSE * (norm(vjp) + norm(passed)) + rounding).any():
        where = named(game, "field") if game.problem.overrides("field") else where
        raise UserError(
            f"{where}: expected a field that passes meta-gradients, Jᵀ w = {_rounded(vjp[0])}, got "
            f"{_rounded(passed[0])}; {CUT}"
        )


def _of_player(game: Instances, w: Tensor, player: int) -> Tensor:
    """w with zeros for the other player, (B, d)."""
    u, v = game.split(w)
    return join((u, 0 * v) if player == 0 else (0 * u, v))


def _rounded(vector: Tensor) -> str:
    """The first numbers of a vector."""
    numbers = ", ".join(f"{number:.4g}" for number in vector[:4].tolist())
    return f"({numbers}, …)" if len(vector) > 4 else f"({numbers})"

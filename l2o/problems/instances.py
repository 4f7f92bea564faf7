"""A batch of sampled instances of one problem: a game.

Axes: B instances, m coordinates of x, n coordinates of y.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from l2o.games import Costs, Game, Iterate, join
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.io.seeds import generator, single_precision
from l2o.norms import norm
from l2o.problems.given import check_device, check_dtype

if TYPE_CHECKING:
    from l2o.problems.base import Problem
    from l2o.problems.measures import Measure


class Distance(NamedTuple):
    """How far an iterate is from the nearest solution, per player."""

    x: Tensor
    """(B,)"""
    y: Tensor
    """(B,)"""

    @property
    def joint(self) -> Tensor:
        """‖(x, y) − (x*, y*)‖, (B,)."""
        return torch.hypot(self.x, self.y)


class Instances(Game):
    """A batch of instances, which may stand for several copies of itself.

    Args:
        problem: The family.
        theta: The parameters, batch axis first.
        count: How many instances these are.
        seed: Of the draws; None where the problem draws nothing.
    """

    def __init__(
        self, problem: Problem, theta: Mapping[str, Tensor], count: int, seed: int | None = None
    ) -> None:
        self.problem = problem
        self.theta = dict(theta)
        self.seed = seed
        self.m, self.n = problem.m, problem.n
        self.affine, self.zero_sum, self.limit = problem.affine, problem.zero_sum, problem.limit
        self.resolvent_in_closed_form = problem.resolvent_in_closed_form
        floats = (value.dtype for value in self.theta.values() if value.is_floating_point())
        self.dtype: torch.dtype = next(floats, torch.float32)
        """The float type to compute in."""
        self.device = next((v.device for v in self.theta.values()), torch.device("cpu"))
        self._count = count
        self._copies = 1
        # Draws are made for all that were sampled together, whichever are left: what one instance
        # sees must not depend on the others.
        self._sampled = count
        self._rows = torch.arange(count)

    def __len__(self) -> int:
        return self._count * self._copies

    @property
    def tensors(self) -> tuple[list[int], list[int]]:
        return self.problem.tensors

    def point(self, given: object) -> Iterate:
        x, y = super().point(given)
        if (x.dtype, x.device.type) != (self.dtype, self.device.type):
            raise UserError(
                f"start: expected points of the instances' type, {self.dtype} on {self.device}, "
                f"got {x.dtype} on {x.device}; sample both with the same dtype= and device=, or "
                "use instances.to(…)"
            )
        return Iterate(x, y)

    def costs(self, x: Tensor, y: Tensor) -> Costs:
        self._expect("x", x, self.m)
        self._expect("y", y, self.n)
        return Costs(*self._of(self.problem.costs, x, y))

    def at(self, iteration: int) -> Instances:
        """The instances with the draw of an iteration joined to θ."""
        if self.seed is None:
            return self
        with single_precision():
            drawn = self.problem.draw(self._sampled, generator(self.seed, iteration))
        game = copy(self)
        game.theta = self.theta | {
            name: cast(value[self._rows], self.dtype).to(self.device)
            for name, value in drawn.items()
        }
        return game

    def distance(self, x: Tensor, y: Tensor) -> Distance:
        """Distances of x and of y to the nearest solution, (..., B) each."""
        leading, count = x.shape[:-2], len(self)
        if x.shape != (*leading, count, self.m) or y.shape != (*leading, count, self.n):
            raise UserError(
                f"distance: expected x of shape (…, {count}, {self.m}) and y of shape "
                f"(…, {count}, {self.n}), got {tuple(x.shape)} and {tuple(y.shape)}"
            )
        if self._copies > 1:
            x, y = (torch.unflatten(point, -2, (self._copies, -1)) for point in (x, y))
        near_x, near_y = self.problem.nearest(x, y, self.theta)
        distances = norm(x - near_x).squeeze(-1), norm(y - near_y).squeeze(-1)
        if self._copies > 1:
            return Distance(*(distance.flatten(-2) for distance in distances))
        return Distance(*distances)

    def measured(self, measure: Measure, x: Tensor, y: Tensor) -> Tensor:
        """What a measure of the problem makes of x, (B, m), and y, (B, n): (B,)."""
        value: Tensor = self._of(measure.of, x, y)
        return value

    def select(self, index: Tensor | slice) -> Instances:
        try:
            place = torch.arange(len(self), device=self.device)[index] % self._count
        except (IndexError, TypeError, RuntimeError) as error:
            raise self._no_selection(index, str(error)) from None
        if place.ndim != 1:
            raise self._no_selection(index, f"it selects {tuple(place.shape)}")
        game = self._with({name: value[place] for name, value in self.theta.items()}, len(place))
        game._rows = self._rows[place.to(self._rows.device)]
        return game

    def repeat(self, times: int) -> Instances:
        """`times` copies of the whole batch, one after another."""
        checks.count("times", times)
        game = copy(self)
        game._copies *= times
        if not self.problem.broadcasts:
            rows = torch.arange(len(game), device=self.device)
            return game.select(rows)
        return game

    def concatenate(self, other: Instances) -> Instances:
        """These instances followed by those of `other`, which must be of the same problem.

        Raises:
            UserError: If they are of another problem, or were not drawn alike.
        """
        games = [game for game in (self, other) if isinstance(game, Instances)]
        kinds = [(type(g.problem), g.m, g.n, g.dtype, g.device.type) for g in games]
        if len(kinds) < 2 or kinds[0] != kinds[1]:
            family = f"{type(self.problem).__name__} with m={self.m} and n={self.n}"
            where = f"in {self.dtype} on {self.device}"
            raise checks.refusal("concatenate", f"instances of a {family} {where}, too", other)
        if (self.seed, self._sampled) != (other.seed, other._sampled) and self.seed is not None:
            raise UserError("concatenate: expected parts of one batch, whose draws are the same")
        first, second = (game.select(slice(None)) for game in (self, other))
        theta = {name: torch.cat((v, second.theta[name])) for name, v in first.theta.items()}
        game = first._with(theta, len(first) + len(second))
        game._rows = torch.cat((first._rows, second._rows))
        return game

    def to(self, target: torch.device | str | torch.dtype) -> Instances:
        """The same instances on another device, or with another float type."""
        game = copy(self)
        if isinstance(target, torch.dtype):
            game.dtype = check_dtype(target)
            game.theta = {name: cast(value, target) for name, value in self.theta.items()}
            # Cast, what is derived would keep the rounding errors of the old type.
            game.theta |= self.problem.derived(game.theta)
        else:
            game.device = check_device(target)
            game.theta = {name: value.to(target) for name, value in self.theta.items()}
        return game

    def _no_selection(self, index: object, reason: str) -> UserError:
        return UserError(
            f"select: expected positions below {len(self)}, a mask of as many or a slice, got "
            f"{checks.shown(index)} ({reason.splitlines()[0]})"
        )

    def _with(self, theta: dict[str, Tensor], count: int) -> Instances:
        game = copy(self)
        game.theta, game._count, game._copies = theta, count, 1
        return game

    def _of(self, function: Callable[..., Any], *arguments: Tensor | float) -> Any:
        """What a function of the problem makes of rows (B, ·) and θ."""
        if self._copies == 1:
            return function(*arguments, self.theta)
        apart = (
            torch.unflatten(value, 0, (self._copies, -1)) if isinstance(value, Tensor) else value
            for value in arguments
        )
        result = function(*apart, self.theta)
        if isinstance(result, tuple):
            return tuple(part.flatten(0, 1) for part in result)
        return None if result is None else result.flatten(0, 1)

    def _field(self, z: Tensor) -> Tensor:
        closed = self._of(self.problem.field, *self.split(z))
        return super()._field(z) if closed is None else join(closed)

    def _field_x(self, x: Tensor, y: Tensor) -> Tensor:
        closed = self._of(self.problem.field, x, y)
        return super()._field_x(x, y) if closed is None else closed[0]

    def _field_y(self, x: Tensor, y: Tensor) -> Tensor:
        closed = self._of(self.problem.field, x, y)
        return super()._field_y(x, y) if closed is None else closed[1]

    def _coupling_x(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        closed = self._of(self.problem.coupling_x, x, y, v)
        return super()._coupling_x(x, y, v) if closed is None else closed

    def _coupling_y(self, x: Tensor, y: Tensor, u: Tensor) -> Tensor:
        closed = self._of(self.problem.coupling_y, x, y, u)
        return super()._coupling_y(x, y, u) if closed is None else closed

    def _jvp(self, z: Tensor, w: Tensor) -> Tensor:
        closed = self._of(self.problem.jvp, *self.split(z), *self.split(w))
        return super()._jvp(z, w) if closed is None else join(closed)

    def _resolvent(self, z: Tensor, step: float | Tensor) -> Tensor:
        closed = self._of(self.problem.resolvent, *self.split(z), step)
        return super()._resolvent(z, step) if closed is None else join(closed)


def cast(value: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor in another float type; whole numbers and booleans stay what they are."""
    if value.is_complex():
        return value.to(dtype.to_complex())
    return value.to(dtype) if value.is_floating_point() else value

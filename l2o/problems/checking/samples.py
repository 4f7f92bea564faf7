"""What is sampled: instances, starting points, draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from l2o.games import Iterate
from l2o.io.errors import UserError
from l2o.io.seeds import generator
from l2o.problems.checking.names import expect, named, same, told, trying
from l2o.problems.given import check_batch
from l2o.problems.instances import Instances

if TYPE_CHECKING:
    from l2o.problems.base import Problem

COUNT = 3
"""Instances that are tried."""
OTHER = 2
"""Another number of them: a batch axis that is one by coincidence is none then."""


def sampled(problem: Problem, dtype: torch.dtype) -> tuple[list[Instances], Iterate]:
    """Instances as a run samples them, and starting points.

    Returns:
        The exact game first, if there is one, then that of an iteration if it has draws.

    Raises:
        UserError: If they cannot be had, or not again from the same generator.
    """
    name = type(problem).__name__
    before = torch.get_rng_state()
    with trying(f"{name}.sample_parameters", f"{COUNT} instances"):
        game, again = (problem.sample(COUNT, _source(), dtype=dtype) for _ in range(2))
        problem.sample(OTHER, _source(), dtype=dtype)
    start = _start(game, dtype)
    parts = [*zip(start, _start(game, dtype), strict=True)]
    parts += [(value, again.theta[key]) for key, value in game.theta.items()]
    if not all(same(*both) for both in parts) or not same(before, torch.get_rng_state()):
        raise UserError(
            f"{name}.sample_parameters: expected the same instances from the same generator, got "
            "others; draw from `generator` alone, as in torch.rand(…, generator=generator)"
        )
    return _games(game, start), start


def _start(game: Instances, dtype: torch.dtype) -> Iterate:
    """Starting points, one for each instance; raises UserError if they are none."""
    where = named(game, "sample_start")
    with trying(where, f"{COUNT} instances"):
        start: Any = game.problem.sample_start(COUNT, _source(), dtype=dtype)
    if not isinstance(start, tuple) or len(start) != 2:
        raise UserError(f"{where}: expected a pair, Iterate(x, y); {told(start)}")
    for which, point, size in zip(("start_x", "start_y"), start, (game.m, game.n), strict=True):
        like = torch.empty(COUNT, size, dtype=dtype)
        expect(where, f"a starting point {which} for each instance", point, like)
        if not point.isfinite().all():
            raise UserError(f"{where}: expected finite numbers in {which}, got NaN or infinity")
    return Iterate(*start)


def _games(game: Instances, start: Iterate) -> list[Instances]:
    if not game.problem.draws:
        return [game]
    where = f"{type(game.problem).__name__}.draw"
    with trying(where, f"{COUNT} instances"):
        for count in (COUNT, OTHER):
            check_batch(where, game.problem.draw(count, _source()), count)
        drawn, again = game.at(0), game.at(0)
    if not all(same(value, again.theta[key]) for key, value in drawn.theta.items()):
        raise UserError(
            f"{where}: expected the same draw from the same generator, "
            "got another; draw from `generator` alone, as in torch.rand(…, generator=generator)"
        )
    try:
        with trying(f"{type(game.problem).__name__} without a draw", f"{COUNT} instances"):
            game.costs(*start)
    except UserError as error:
        # A problem may say so itself: then there is nothing exact to measure.
        if error.__cause__ is None:
            return [drawn]
        raise UserError(
            f"{error}; results are measured without a draw, on θ alone: use it where it is in "
            "theta, and else what it stands for, the whole data for instance"
        ) from error
    return [game, drawn]


def _source() -> torch.Generator:
    return generator(0, "check")

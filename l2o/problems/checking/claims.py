"""What a problem declares of itself: `affine`, `broadcasts`, `resolvent`, `nearest`.

Axes: B instances, d joint coordinates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from l2o.games import join
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.norms import norm
from l2o.problems.checking.calls import STEP
from l2o.problems.checking.names import named, trying
from l2o.problems.checking.points import noise
from l2o.problems.checking.rows import functions
from l2o.problems.instances import Instances

CLOSE = 1e-6
"""The largest relative error of what is exact but for rounding."""
STATIONARY = 1e-4
"""The longest field at a solution, in units of that where it is tried."""
AWAY = 1e-3
"""How far from a solution it is compared with other points."""


def check_claims(game: Instances, z: Tensor) -> None:
    """Refuses declarations that are not true."""
    limit: object = game.limit
    if not isinstance(limit, int | float) or not limit > 0:
        expected = "a number above 0, beyond which a coordinate has diverged"
        raise checks.refusal(named(game, "limit"), expected, limit)
    if game.affine:
        further = z + noise(z, "affine")
        middle = game.field((z + further) / 2)
        mean = (game.field(z) + game.field(further)) / 2
        if (norm(middle - mean) > CLOSE * (norm(mean) + norm(middle))).any():
            raise UserError(
                f"{named(game, 'affine')}: expected a field that is affine, got one that is curved "
                "between two points; declare affine = False"
            )
    _check_copies(game, z)
    if game.problem.overrides("resolvent"):
        for alpha in (STEP, STEP * (0.5 + noise(z[:, :1], "step").abs())):
            near = game.resolvent(z, alpha)
            missing = near + alpha * game.field(near) - z
            if (norm(missing) > CLOSE * (1 + norm(z))).any():
                raise UserError(
                    f"{named(game, 'resolvent')}: expected z′ with z′ + αG(z′) = z, got one that "
                    f"misses it by {norm(missing).max().item():.3g}"
                )


def _check_copies(game: Instances, z: Tensor) -> None:
    """Refuses a problem that does not compute for copies what it computes for each."""
    twice, both = game.repeat(2), torch.cat((z, z + noise(z, "copies") / 10))
    for where, function in functions(game).items():
        if where == named(game, "nearest"):
            continue
        with trying(where, f"x of shape (2, {len(game)}, {game.m}), as broadcasts = True allows"):
            found = function(twice, both)
        each = torch.cat([function(game, point) for point in both.chunk(2)])
        if not torch.allclose(found, each, rtol=CLOSE, atol=CLOSE, equal_nan=True):
            raise UserError(
                f"{where}: expected of several points of an instance, (2, B, m), what each has "
                "alone, got something else; declare broadcasts = False"
            )


def check_solutions(game: Instances, z: Tensor) -> None:
    """Refuses a `nearest` that is no solution, or not the nearest one."""
    if not game.problem.has_solutions:
        return
    where, points = named(game, "nearest"), torch.stack((z, z + noise(z, "solutions")))
    near = join(game.problem.nearest(*game.split(points), game.theta))
    typical = norm(game.field(z)).max()
    for solution in near:
        size = norm(game.field(solution))
        wrong = ~(size <= STATIONARY * typical) & ~_is_saddle(game, solution)
        if wrong.any():
            raise UserError(
                f"{where}: expected a solution, where the field is zero, got a point where its "
                f"norm is {size[wrong].max().item():.3g}; correct it, or leave `nearest` out to "
                "be judged by the field instead"
            )
    distance = norm(z - near[0])
    if (norm(z - near[1]) < distance * (1 - CLOSE) - CLOSE).any():
        raise UserError(
            f"{where}: expected the solution nearest to (x, y), got one that is farther away than "
            "that of another point"
        )


def _is_saddle(game: Instances, z: Tensor) -> Tensor:
    """Whether no player gains by a small move, (B, 1): so it is also where f has a kink."""
    here = game.costs(*game.split(z))
    u, v = game.split(AWAY * noise(z, "saddle"))
    held = torch.ones_like(here.f, dtype=torch.bool)
    for sign in (1, -1):
        x, y = game.split(z)
        held &= game.costs(x + sign * u, y).f >= here.f - 1e-12
        held &= game.costs(x, y + sign * v).g >= here.g - 1e-12
    return held.unsqueeze(1)

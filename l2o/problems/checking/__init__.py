"""What every problem must be, tried on a few points before long work relies on it.

Axes: B instances, m / n coordinates of x / y, d = m + n joint coordinates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from l2o.problems.checking.calls import check_calls
from l2o.problems.checking.claims import check_claims, check_solutions
from l2o.problems.checking.derivatives import check_products, check_slopes
from l2o.problems.checking.names import trying
from l2o.problems.checking.points import defined_points
from l2o.problems.checking.rows import check_rows
from l2o.problems.checking.samples import sampled

if TYPE_CHECKING:
    from l2o.problems.base import Problem


def check_family(problem: Problem) -> None:
    """Tries a problem in every float type and shape that a run uses; see `Problem.check`.

    Where the costs are not defined at any point tried, there is nothing that derivatives could be
    compared with: the test will count the trajectories as diverged.
    """
    tried = trying(type(problem).__name__, "a few points")
    with torch.inference_mode(False), torch.enable_grad(), tried:
        for dtype in (torch.float32, torch.float64):
            games, start = sampled(problem, dtype)
            for game in games:
                check_calls(game, start)
        game, z = defined_points(games[0], start)
        if not len(game):
            return
        check_rows(game, z)
        check_slopes(game, z)
        check_claims(game, z)
        check_solutions(game, z)
        check_products(game, z)

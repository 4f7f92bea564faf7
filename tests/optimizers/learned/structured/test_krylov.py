"""On affine fields the structured twin is a Krylov method, and four pairs do for skew ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from l2o.io.seeds import generator
from l2o.optimizers.hand_designed import GMRES
from l2o.problems import Instances, MatrixGame, Problem, QuadraticGame
from tests.helpers import double_batch
from tests.optimizers.hand_designed.games import bilinear
from tests.optimizers.hand_designed.helpers import field, run
from tests.optimizers.learned.structured.helpers import iterations, twin

GAMES = {
    "5x5": MatrixGame(),
    "20x30": MatrixGame(m=20, n=30),
    "3x2": MatrixGame(m=3, n=2),
    "adversarial": QuadraticGame(c=[1, 1]),
}
"""Bilinear: the Jacobian of the field is skew."""
COOPERATIVE = QuadraticGame(c=[0, 0])
"""Two minimizations: it is symmetric."""
MIXED = QuadraticGame(c=[0.3, 0.7])

skew = pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)


def batch(problem: Problem, count: int = 20) -> tuple[Instances, Tensor]:
    instances, start = double_batch(problem, count)
    return instances, torch.cat(start, dim=1)


def excess(problem: Problem, count: int, **settings: Any) -> Tensor:
    """By how much what is left of the field after t steps exceeds GMRES's residual, (T,).

    The largest ratio − 1 over the instances that GMRES has not solved to 1e-6 by then, at
    t = 1, …, T. GMRES has then taken t + 1 gradients, the structured twin t + 2.
    """
    instances, z = batch(problem)
    least = field(instances, run(GMRES(), instances, z, count)).norm(dim=2)
    steps = iterations(twin(**{"trust": False, **settings}), instances, z, count)
    left = torch.stack(
        [seen.after.secants.solve(seen.after.field)[1].norm(dim=1) for seen in steps]
    )
    waiting = least[1:] > 1e-6 * least[0]
    return torch.where(waiting, left / least[1:] - 1, 0).abs().amax(1)


@skew
@pytest.mark.parametrize("trained", [0.0, 0.5])
def test_four_pairs_leave_what_gmres_leaves_in_bilinear_games(
    game: Problem, trained: float
) -> None:
    """For 13 iterations of 20x30 and to the end of the small games, to nine digits.

    Whatever the coefficients are; they only change what is explored, not the space.
    """
    assert (excess(game, 13, trained=trained) < (1e-9 if trained == 0 else 1e-4)).all()


def test_four_pairs_leave_what_gmres_leaves_in_minimizations() -> None:
    assert (excess(COOPERATIVE, 10) < 1e-3).all()


@skew
def test_ten_pairs_do_no_better_in_bilinear_games(game: Problem) -> None:
    """Until the last iteration, which rounding then makes a few."""
    instances, z = batch(game)
    count = min(12, game.m + game.n - 1)
    few, many = (run(twin(trust=False, memory=k), instances, z, count) for k in (4, 10))
    scale = field(instances, z).norm(dim=1)
    few, many = (field(instances, found).norm(dim=2) for found in (few, many))
    assert ((few - many).abs() < 1e-8 * scale).all()


def test_three_pairs_are_too_few() -> None:
    assert excess(GAMES["20x30"], 13, memory=3).max() > 1


def test_where_the_jacobian_is_neither_a_memory_of_all_is_needed() -> None:
    """Then K pairs are worth K iterations of GMRES, and m + n pairs all of them."""
    assert (excess(MIXED, 4) < 1e-6).all()
    assert excess(MIXED, 8).max() > 0.5
    assert (excess(MIXED, 8, memory=10) < 1e-4).all()


@skew
@pytest.mark.parametrize("trust", [False, True])
def test_bilinear_games_are_solved_within_m_plus_n_iterations_and_a_few(
    game: Problem, trust: bool
) -> None:
    """Rounding costs up to eight more, and trust four: 0.01, 0.04, 0.16, then whole steps."""
    instances, z = batch(game)
    found = run(twin(trust=trust), instances, z, game.m + game.n + (12 if trust else 8))
    residual = field(instances, found).norm(dim=2)
    solved = (residual <= 1e-9 * residual[0]).any(0)
    assert solved.all()


@pytest.mark.parametrize("name", ["5x5", "20x30"])
def test_is_hardly_behind_gmres(name: str) -> None:
    """At most nine iterations later it is as near, from the first step to the last."""
    instances, z = batch(GAMES[name])
    count = z.shape[1] + 9
    least, found = (
        field(instances, run(method, instances, z, count)).norm(dim=2)
        for method in (GMRES(), twin())
    )
    best = found.cummin(0).values
    assert (best[9:] <= least[:-9] + 1e-9 * least[0]).all()


def test_first_two_steps_by_hand() -> None:
    """f = xy from z₀ = (1, 0): G = (y, −x), so G₀ = (0, −1), and the probe comes from (1, 0.01).

    The probe's pair is p₁ = (0, −1), q₁ = (−1, 0), with the slope L = 1. It does not help, so
    a = 0 and r = G₀; the first step is −½r − ½‖r‖q₁ = (½, ½). At z₁ = (1½, ½), G₁ = (½, −1½);
    the new pair (½, ½), (½, −½) is (1, 0), (0, −1) without q₁'s share, and both together solve.
    """
    z = run(twin(trust=False), bilinear(), torch.tensor([[1.0, 0.0]]).double(), 2)[:, 0]
    torch.testing.assert_close(z[1], torch.tensor([1.5, 0.5]).double(), rtol=0, atol=1e-13)
    torch.testing.assert_close(z[2], torch.zeros(2).double(), rtol=0, atol=1e-12)


def test_first_steps_with_trust_by_hand() -> None:
    """There the probe's pair is not used: −½G₀ = (0, ½) is cut to 0.01 and G₁ = (0.01, −1).

    −½G₁ is cut to 0.04, so that z₂ = z₁ − 0.04·G₁/‖G₁‖.
    """
    z = run(twin(), bilinear(), torch.tensor([[1.0, 0.0]]).double(), 2)[:, 0]
    torch.testing.assert_close(
        z[1], torch.tensor([1.0, 0.01], dtype=torch.double), rtol=0, atol=1e-13
    )
    field_ = torch.tensor([0.01, -1.0], dtype=torch.double)
    expected = z[1] - 0.04 * field_ / field_.norm()
    torch.testing.assert_close(z[2], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("game", [MatrixGame(m=3, n=2), MatrixGame()], ids=["3x2", "5x5"])
def test_stays_where_it_has_converged(game: Problem, dtype: torch.dtype) -> None:
    """Once at a solution, rounding must not teach it secants that lead away."""
    instances = game.sample(100, generator(0)).to(dtype)
    z = torch.cat(game.sample_start(100, generator(0, "start")), dim=1).to(dtype)
    found = run(twin().to(dtype), instances, z, 300)
    distance = instances.distance(found[..., : game.m], found[..., game.m :]).joint
    near, far = (1e-9, 1e-6) if dtype == torch.float64 else (1e-5, 1e-3)
    arrived = distance.cummin(0).values < near
    assert arrived[-1].double().mean() > 0.8
    assert distance[arrived].max() < far

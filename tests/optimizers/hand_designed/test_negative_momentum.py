"""Negative momentum: its stability on f = xy, and alternating descent-ascent without it."""

import pytest
import torch

from l2o.optimizers.hand_designed import AlternatingGDA, NegativeMomentum
from tests.optimizers.hand_designed.games import bilinear, smooth_game
from tests.optimizers.hand_designed.helpers import path, rate


@pytest.mark.parametrize("beta", [-0.9, -0.5, -0.1])
def test_stable_up_to_twice_one_plus_beta(beta: float) -> None:
    """On f = xy stable iff η < 2(1 + β) (Gidel et al. 2019)."""
    limit = 2 * (1 + beta)
    for share in (0.01, 0.5, 0.999):
        assert rate(NegativeMomentum(share * limit, beta), bilinear()) < 1
    for share in (1.001, 1.5):
        assert rate(NegativeMomentum(share * limit, beta), bilinear()) > 1


def test_best_rate() -> None:
    """With β = −½ the least spectral radius is .8848, at η near .87."""
    steps = torch.arange(0.5, 1.0, 0.005).tolist()
    rates = [rate(NegativeMomentum(eta, -0.5), bilinear()) for eta in steps]
    assert min(rates) == pytest.approx(0.8848, abs=2e-4)
    assert steps[rates.index(min(rates))] == pytest.approx(0.87, abs=0.01)


def test_without_momentum_it_is_alternating_descent_ascent() -> None:
    game, z = smooth_game()
    found, expected = (
        path(m, game, z, 10) for m in (NegativeMomentum(0.1, 0), AlternatingGDA(0.1))
    )
    torch.testing.assert_close(found, expected)


def test_two_steps_by_hand() -> None:
    """x⁺ = x − η∇ₓf(x, y) + βΔx, y⁺ = y + η∇_y f(x⁺, y) + βΔy, with Δ = 0 at the start."""
    game, z = smooth_game()
    move, expected = torch.zeros_like(z), []
    for _ in range(2):
        (x, y), (dx, dy) = game.split(z), game.split(move)
        ahead = x - 0.1 * game.gradient(z)[: game.m] - 0.3 * dx
        above = y + 0.1 * game.gradient(torch.cat((ahead, y)))[game.m :] - 0.3 * dy
        move = torch.cat((ahead - x, above - y))
        z = z + move
        expected.append(z)
    found = path(NegativeMomentum(0.1, -0.3), game, smooth_game()[1], 2)
    torch.testing.assert_close(found, expected)

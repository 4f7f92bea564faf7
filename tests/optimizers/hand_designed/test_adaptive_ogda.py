"""Adaptive OGDA: OGDA with a step in units of the inverse Lipschitz constant."""

import pytest
import torch

from l2o.optimizers.hand_designed import OGDA, AdaptiveOGDA
from tests.optimizers.hand_designed.games import bilinear, scaled_seesaw, smooth_game
from tests.optimizers.hand_designed.helpers import path, run


def test_steps_by_hand() -> None:
    """L: along a step of 0.01 against G first, then also from every z to the next."""
    game, start = smooth_game()
    z = start = 0.3 * start

    def slope(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (game.field(a) - game.field(b)).norm() / (a - b).norm()

    steepest = slope(z, z - 0.01 * game.field(z) / game.field(z).norm())
    past, constants, expected = z, [steepest.item()], []
    for k in range(6):
        if k > 0:
            steepest = torch.maximum(steepest, slope(z, past))
        past, z = z, z - 0.3 / steepest * (2 * game.field(z) - game.field(past))
        constants.append(steepest.item())
        expected.append(z)
    assert len(set(constants)) > 2, "the estimate grew on the way, twice"
    torch.testing.assert_close(path(AdaptiveOGDA(), game, start, 6), expected)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
def test_does_not_see_a_factor_on_f(factor: float) -> None:
    (plain, start), (scaled, _) = scaled_seesaw(1.0), scaled_seesaw(factor)
    found, expected = (run(AdaptiveOGDA(), f, start, 100) for f in (scaled, plain))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_is_ogda_where_the_lipschitz_constant_is_known() -> None:
    """On f = xy every local Lipschitz constant is 1, so that η = s from the first step on."""
    z = torch.tensor([[0.3, -0.7]]).double()
    adaptive, fixed = (run(m, bilinear(), z, 50) for m in (AdaptiveOGDA(0.4), OGDA(0.4)))
    torch.testing.assert_close(adaptive, fixed, rtol=1e-10, atol=0)

"""Extragradient: its rate on f = xy, its bound on monotone games, and its adaptive form."""

import math

import pytest
import torch

from l2o.optimizers.hand_designed import AdaptiveExtragradient, Extragradient
from tests.optimizers.hand_designed.games import bilinear, scaled_seesaw, smooth_game
from tests.optimizers.hand_designed.helpers import (
    distance,
    field,
    lipschitz,
    monotone_batches,
    path,
    rate,
    run,
)


@pytest.mark.parametrize("eta", [0.1, 0.5, 0.9])
def test_rate_on_xy(eta: float) -> None:
    """Eigenvalues 1 − η² ± iη, so that ρ² = 1 − η² + η⁴."""
    expected = math.sqrt(1 - eta**2 + eta**4)
    assert rate(Extragradient(eta), bilinear()) == pytest.approx(expected, abs=1e-12)


def test_rate_in_numbers() -> None:
    assert rate(Extragradient(0.5), bilinear()) == pytest.approx(0.901388, abs=5e-7)
    # 1 − η² + η⁴ is least at η² = ½, where it is ¾.
    best = rate(Extragradient(math.sqrt(0.5)), bilinear())
    assert best == pytest.approx(math.sqrt(0.75), abs=1e-12)


def test_stable_up_to_one() -> None:
    """1 − η² + η⁴ < 1 iff η < 1."""
    assert rate(Extragradient(0.999), bilinear()) < 1 < rate(Extragradient(1.001), bilinear())


@pytest.mark.parametrize("relative", [0.3, 0.7, 0.95])
def test_bound_on_monotone_games(relative: float) -> None:
    """min‖G‖² ≤ d²/(η²(1 − η²L²)(k + 1)) over the first k + 1 points, for every k."""
    k = torch.arange(201).reshape(-1, 1)
    for instances, z in monotone_batches():
        steepest = lipschitz(instances)
        eta = relative / steepest
        squares = field(instances, run(Extragradient(eta), instances, z, 200)).square().sum(2)
        least = squares.cummin(0).values
        bound = distance(instances, z) ** 2 / (eta**2 * (1 - relative**2))
        assert (least <= bound.T / (k + 1) * (1 + 1e-6) + 1e-25).all()


def test_two_steps_by_hand() -> None:
    game, z = smooth_game()
    expected = []
    for _ in range(2):
        z = z - 0.1 * game.field(z - 0.1 * game.field(z))
        expected.append(z)
    torch.testing.assert_close(path(Extragradient(0.1), game, smooth_game()[1], 2), expected)


def test_adaptive_steps_by_hand() -> None:
    """L: along a step of 0.01 against G first, then also from every z to its half-point."""
    game, start = smooth_game()
    z = start = 0.3 * start

    def slope(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (game.field(a) - game.field(b)).norm() / (a - b).norm()

    steepest = slope(z, z - 0.01 * game.field(z) / game.field(z).norm())
    constants, expected = [steepest.item()], []
    for _ in range(4):
        half = z - 0.5 / steepest * game.field(z)
        steepest = torch.maximum(steepest, slope(half, z))
        constants.append(steepest.item())
        z = z - 0.5 / steepest * game.field(half)
        expected.append(z)
    assert len(set(constants)) > 2, "the estimate grew on the way, twice"
    torch.testing.assert_close(path(AdaptiveExtragradient(), game, start, 4), expected)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
def test_adaptive_form_does_not_see_a_factor_on_f(factor: float) -> None:
    (plain, start), (scaled, _) = scaled_seesaw(1.0), scaled_seesaw(factor)
    found = run(AdaptiveExtragradient(), scaled, start, 100)
    torch.testing.assert_close(
        found, run(AdaptiveExtragradient(), plain, start, 100), rtol=1e-6, atol=1e-9
    )


def test_adaptive_form_is_extragradient_where_the_lipschitz_constant_is_known() -> None:
    """On f = xy every local Lipschitz constant is 1, so that η = s from the first step on."""
    z = torch.tensor([[0.3, -0.7]]).double()
    adaptive, fixed = (
        run(method, bilinear(), z, 50)
        for method in (AdaptiveExtragradient(0.4), Extragradient(0.4))
    )
    torch.testing.assert_close(adaptive, fixed, rtol=1e-10, atol=0)

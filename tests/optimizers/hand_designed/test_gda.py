"""Descent-ascent: exact rates on bilinear and quadratic games, and what alternation conserves."""

import math

import pytest
import torch

from l2o.optimizers.hand_designed import GDA, AlternatingGDA
from l2o.problems import RotatedSaddle
from tests.optimizers.hand_designed.games import bilinear, scalar_quadratic, smooth_game
from tests.optimizers.hand_designed.helpers import path, rate, run


@pytest.mark.parametrize("eta", [0.01, 0.5, 2.0])
def test_simultaneous_diverges_on_xy(eta: float) -> None:
    """z⁺ = (1 − ηJ)z with J a rotation by 90°: ‖z⁺‖ = √(1 + η²)‖z‖ at every step."""
    z = run(GDA(eta), bilinear(), torch.tensor([[0.3, -0.7]]).double(), 20)[:, 0].norm(dim=1)
    torch.testing.assert_close(z[1:] / z[:-1], torch.full((20,), math.hypot(1, eta)).double())


@pytest.mark.parametrize(("mu", "sigma"), [(1.0, 0.0), (0.5, 2.0), (1.0, 1.0), (0.1, 3.0)])
def test_rate_on_a_quadratic(mu: float, sigma: float) -> None:
    """f = μx²/2 + σxy − μy²/2: eigenvalues 1 − η(μ ± iσ), smallest at η = μ/(μ² + σ²)."""
    game, best = scalar_quadratic(mu, sigma), mu / (mu**2 + sigma**2)
    for eta in (0.3 * best, best, 1.7 * best):
        expected = math.hypot(1 - eta * mu, eta * sigma)
        assert rate(GDA(eta), game) == pytest.approx(expected, abs=1e-12)
    least = rate(GDA(best), game)
    assert least == pytest.approx(sigma / math.hypot(mu, sigma), abs=1e-12)
    assert least < min(rate(GDA(0.99 * best), game), rate(GDA(1.01 * best), game))
    assert rate(GDA(2 * best * 0.999), game) < 1 < rate(GDA(2 * best * 1.001), game)


def test_rotated_saddle() -> None:
    """a = b = 1: M = [[2, 2], [−2, 2]], eigenvalues 2 ± 2i, and |1 − (2 + 2i)/4| = 1/√2."""
    game = RotatedSaddle().sample(1, torch.Generator()).to(torch.double)
    game.theta = {name: torch.ones(1, 1).double() for name in ("a", "b")}
    assert rate(GDA(0.25), game) == pytest.approx(math.sqrt(0.5), abs=1e-12)


@pytest.mark.parametrize("eta", [0.1, 1.0, 1.9])
def test_alternating_conserves_an_ellipse_on_xy(eta: float) -> None:
    """x⁺² + y⁺² − ηx⁺y⁺ = x² + y² − ηxy for x⁺ = x − ηy, y⁺ = y + ηx⁺; hence ρ = 1."""
    assert rate(AlternatingGDA(eta), bilinear()) == pytest.approx(1, abs=1e-12)
    start = torch.tensor([[0.3, -0.7]]).double()
    x, y = run(AlternatingGDA(eta), bilinear(), start, 500)[:, 0].T
    energy = x**2 + y**2 - eta * x * y
    torch.testing.assert_close(energy, energy[0].expand(501), rtol=1e-11, atol=0)


def test_alternating_diverges_beyond_two() -> None:
    """At η = 2 the ellipse opens: its form x² + y² − ηxy is no longer definite."""
    assert rate(AlternatingGDA(2.01), bilinear()) > 1.1


def test_two_steps_by_hand() -> None:
    game, z = smooth_game()
    first = z - 0.1 * game.field(z)
    found = path(GDA(0.1), game, z, 2)
    torch.testing.assert_close(found, [first, first - 0.1 * game.field(first)])


def test_two_alternating_steps_by_hand() -> None:
    """y moves by its gradient at the new x."""
    game, z = smooth_game()
    expected = []
    for _ in range(2):
        x, y = game.split(z)
        x = x - 0.1 * game.gradient(z)[: game.m]
        y = y + 0.1 * game.gradient(torch.cat((x, y)))[game.m :]
        z = torch.cat((x, y))
        expected.append(z)
    torch.testing.assert_close(path(AlternatingGDA(0.1), game, smooth_game()[1], 2), expected)

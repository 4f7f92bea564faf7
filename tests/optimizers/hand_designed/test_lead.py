"""LEAD: OGDA on bilinear games, its spectra, and its alternating form."""

import pytest
import torch

from l2o.io.seeds import generator
from l2o.optimizers.hand_designed import LEAD, OGDA, AlternatingLEAD, NegativeMomentum
from tests.optimizers.hand_designed.games import (
    Monotone,
    bilinear,
    random_matrix_games,
    scalar_quadratic,
    smooth_game,
)
from tests.optimizers.hand_designed.helpers import jacobian, path, rate, run


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 3), (2, 5), (4, 2)])
def test_is_ogda_on_bilinear_games(m: int, n: int) -> None:
    """β = 0, α = η: ηA Δy = η(∇ₓf_k − ∇ₓf_{k−1}), so both subtract η(2G_k − G_{k−1})."""
    instances = random_matrix_games(20, m, n)
    z = torch.randn(20, m + n, generator=generator(0)).double()
    torch.testing.assert_close(
        run(LEAD(0.2, 0.2, 0.0), instances, z, 50), run(OGDA(0.2), instances, z, 50)
    )


def test_is_not_ogda_on_quadratic_games() -> None:
    """f = x²/2 + xy − y²/2, η = α = ¼: the rates are .6890 and .7753."""
    game = scalar_quadratic(1.0, 1.0)
    assert rate(LEAD(0.25, 0.25, 0.0), game) == pytest.approx(0.6890, abs=5e-5)
    assert rate(OGDA(0.25), game) == pytest.approx(0.7753, abs=5e-5)


@pytest.mark.parametrize(
    ("beta", "stable", "unstable"),
    [
        (0.0, (0.0504, 0.5, 0.9485), (0.0502, 0.9488)),
        (0.5, (0.158, 0.5, 0.749), (0.156, 0.751)),
        (0.9, (), [i / 100 for i in range(1, 150)]),
    ],
)
def test_stable_couplings_on_xy(beta: float, stable: tuple, unstable: tuple) -> None:
    """η = .1: α in (.0503, .9486) for β = 0, in (.157, .750) for β = ½, none for β = .9."""
    assert all(rate(LEAD(0.1, alpha, beta), bilinear()) < 1 for alpha in stable)
    assert all(rate(LEAD(0.1, alpha, beta), bilinear()) > 1 for alpha in unstable)


def test_rate_with_momentum_on_xy() -> None:
    assert rate(LEAD(0.1, 0.51, 0.5), bilinear()) == pytest.approx(0.8777, abs=5e-5)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 3), (3, 3)])
def test_stable_at_the_step_of_the_theory(m: int, n: int) -> None:
    """β = 0 and η = α = 1/(2(σ_max + h)), h the largest own curvature, σ_max that of A."""
    drawn = Monotone(m, n, kept=0.9).sample(200, generator(0)).to(torch.double)
    # A singular game is left where it is in its null space, at a rate of 1.
    regular = torch.linalg.matrix_rank(jacobian(drawn)) == m + n
    games = drawn.select(regular)
    assert len(games) > 50
    coupling = torch.linalg.matrix_norm(games.theta["A"], 2)
    own = torch.linalg.matrix_norm(games.theta["P"], 2)
    own = torch.maximum(own, torch.linalg.matrix_norm(games.theta["Q"], 2))
    for b, step in enumerate((0.5 / (coupling + own)).tolist()):
        assert rate(LEAD(step, step, 0.0), games.select(slice(b, b + 1))) < 1


def test_steps_by_hand() -> None:
    """x⁺ = x + βΔx − η∇ₓf − α∇²xy f·Δy, y⁺ = y + βΔy + η∇_y f + α∇²yx f·Δx."""
    game, z = smooth_game()
    move, expected = torch.zeros_like(z), []
    for _ in range(3):
        (dx, dy), (grad_x, grad_y) = game.split(move), game.split(game.gradient(z))
        across = game.coupling(z)
        move = torch.cat(
            (
                0.3 * dx - 0.1 * grad_x - 0.2 * across @ dy,
                0.3 * dy + 0.1 * grad_y + 0.2 * across.T @ dx,
            )
        )
        z = z + move
        expected.append(z)
    torch.testing.assert_close(path(LEAD(0.1, 0.2, 0.3), game, smooth_game()[1], 3), expected)


def test_alternating_steps_by_hand() -> None:
    """y's gradient, coupling and Δx are those after x's half-step."""
    game, z = smooth_game()
    move, expected = torch.zeros_like(z), []
    for _ in range(3):
        (x, y), (dx, dy) = game.split(z), game.split(move)
        dx = 0.3 * dx - 0.1 * game.gradient(z)[:2] - 0.2 * game.coupling(z) @ dy
        fresh = torch.cat((x + dx, y))
        dy = 0.3 * dy + 0.1 * game.gradient(fresh)[2:] + 0.2 * game.coupling(fresh).T @ dx
        move = torch.cat((dx, dy))
        z = z + move
        expected.append(z)
    found = path(AlternatingLEAD(0.1, 0.2, 0.3), game, smooth_game()[1], 3)
    torch.testing.assert_close(found, expected)


def test_alternating_without_coupling_is_alternating_momentum() -> None:
    """The difference is proportional to α as α → 0."""
    game, z = smooth_game()
    limit = path(NegativeMomentum(0.1, -0.3), game, z, 10)[-1]
    apart = [
        (path(AlternatingLEAD(0.1, alpha, -0.3), game, z, 10)[-1] - limit).norm().item()
        for alpha in (1e-6, 1e-8)
    ]
    assert apart[0] < 1e-5
    assert apart[1] == pytest.approx(apart[0] / 100, rel=1e-2)

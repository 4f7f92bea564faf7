"""CGD: the proximal point on bilinear games, and its systems by dense algebra."""

import math

import pytest
import torch

from l2o.io.seeds import generator
from l2o.optimizers.hand_designed import CGD
from l2o.optimizers.hand_designed.cgd import conjugate_gradients
from l2o.problems.base import product
from tests.optimizers.hand_designed.games import bilinear, random_matrix_games, smooth_game
from tests.optimizers.hand_designed.helpers import jacobian, path, rate, run


@pytest.mark.parametrize("eta", [0.1, 1.0, 10.0])
def test_rate_on_xy(eta: float) -> None:
    """Eigenvalues of the proximal point, 1/(1 ± iη)."""
    assert rate(CGD(eta), bilinear()) == pytest.approx(1 / math.hypot(1, eta), abs=1e-12)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (5, 5), (2, 6), (6, 2), (10, 12)])
def test_is_the_proximal_point_on_bilinear_games(m: int, n: int) -> None:
    """z⁺ + ηG(z⁺) = z, also where the matrix is singular."""
    instances = random_matrix_games(20, m, n)
    z = torch.randn(20, m + n, generator=generator(0)).double()
    found = run(CGD(0.7), instances, z, 3)
    system = torch.eye(m + n).double() + 0.7 * jacobian(instances)
    torch.testing.assert_close((system @ found[1:].unsqueeze(-1)).squeeze(-1), found[:-1])


def test_steps_by_hand() -> None:
    """Both players' systems of the paper, D = ∇²xy f and its transpose:
    Δx = −η(I + η²DDᵀ)⁻¹(∇ₓf + ηD∇_y f), Δy = η(I + η²DᵀD)⁻¹(∇_y f − ηDᵀ∇ₓf).
    """
    game, z = smooth_game()
    eta, expected = 0.3, []
    for _ in range(3):
        d, (grad_x, grad_y) = game.coupling(z), game.split(game.gradient(z))
        left, right = (torch.eye(len(a)).double() + eta**2 * a @ a.T for a in (d, d.T))
        dx = -eta * torch.linalg.solve(left, grad_x + eta * d @ grad_y)
        dy = eta * torch.linalg.solve(right, grad_y - eta * d.T @ grad_x)
        z = z + torch.cat((dx, dy))
        expected.append(z)
    torch.testing.assert_close(path(CGD(eta), game, smooth_game()[1], 3), expected)


def test_conjugate_gradients_equal_a_dense_solve() -> None:
    """Of I + η²AAᵀ, with as many iterations as coordinates, and with some too many."""
    matrix = torch.randn(20, 6, 4, generator=generator(0)).double()
    system = torch.eye(6).double() + 4 * matrix @ matrix.mT
    right = torch.randn(20, 6, generator=generator(1)).double()
    right[0] = 0
    expected = torch.linalg.solve(system, right.unsqueeze(-1)).squeeze(-1)
    for count in (6, 30):
        found = conjugate_gradients(lambda u: product(system, u), right, count)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)

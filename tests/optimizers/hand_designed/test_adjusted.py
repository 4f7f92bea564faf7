"""SGA and consensus optimization: their second-order terms by dense algebra."""

import math

import pytest
import torch

from l2o.io.seeds import generator
from l2o.optimizers.hand_designed import SGA, Consensus, Extragradient
from tests.optimizers.hand_designed.games import (
    bilinear,
    random_matrix_games,
    scalar_quadratic,
    smooth_game,
)
from tests.optimizers.hand_designed.helpers import path, rate, run


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 3), (2, 5)])
def test_sga_is_extragradient_on_bilinear_games(m: int, n: int) -> None:
    """λ = η: G(z − ηG) = G − ηMG, and AᵀG = MᵀG = −MG for an antisymmetric M."""
    instances = random_matrix_games(20, m, n)
    z = torch.randn(20, m + n, generator=generator(0)).double()
    torch.testing.assert_close(
        run(SGA(0.2, 0.2), instances, z, 50), run(Extragradient(0.2), instances, z, 50)
    )


@pytest.mark.parametrize(("eta", "weight"), [(0.1, 0.1), (0.1, 1.0), (0.5, 2.0)])
def test_sga_rate_on_xy(eta: float, weight: float) -> None:
    """Eigenvalues 1 − ηλ ± iη."""
    expected = math.hypot(1 - eta * weight, eta)
    assert rate(SGA(eta, weight), bilinear()) == pytest.approx(expected, abs=1e-12)


def test_sga_steps_by_hand() -> None:
    """z⁺ = z − η(G + λAᵀG), A = ½(M − Mᵀ)."""
    game, z = smooth_game()
    expected = []
    for _ in range(3):
        jacobian, field = game.jacobian(z), game.field(z)
        antisymmetric = (jacobian - jacobian.T) / 2
        z = z - 0.1 * (field + 0.4 * antisymmetric.T @ field)
        expected.append(z)
    torch.testing.assert_close(path(SGA(0.1, 0.4), game, smooth_game()[1], 3), expected)


def test_consensus_steps_by_hand() -> None:
    """z⁺ = z − η(G + γMᵀG), and MᵀG is the gradient of ½‖G‖²."""
    game, z = smooth_game()
    expected = []

    def half_square(w: torch.Tensor) -> torch.Tensor:
        value = game.objective(w)
        return torch.autograd.grad(value, w, create_graph=True)[0].square().sum() / 2

    for _ in range(3):
        inner = torch.autograd.functional.jacobian(half_square, z)
        torch.testing.assert_close(inner, game.jacobian(z).T @ game.field(z))
        z = z - 0.1 * (game.field(z) + 0.4 * inner)
        expected.append(z)
    torch.testing.assert_close(path(Consensus(0.1, 0.4), game, smooth_game()[1], 3), expected)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 5)])
def test_consensus_is_sga_on_bilinear_games(m: int, n: int) -> None:
    """There M is antisymmetric, A = M."""
    instances = random_matrix_games(20, m, n)
    z = torch.randn(20, m + n, generator=generator(0)).double()
    torch.testing.assert_close(
        run(Consensus(0.2, 0.5), instances, z, 50), run(SGA(0.2, 0.5), instances, z, 50)
    )


def test_consensus_is_drawn_to_a_critical_point_that_is_no_solution() -> None:
    """f = −x²/2 + y²/2: G = −z and MᵀG = z, so that z⁺ = (1 − η(γ − 1))z, to 0 for γ > 1."""
    game = scalar_quadratic(-1.0, 0.0)
    z = run(Consensus(0.1, 3.0), game, torch.tensor([[0.3, -0.7]]).double(), 10)[:, 0]
    torch.testing.assert_close(z[10], 0.8**10 * z[0])

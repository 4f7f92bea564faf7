"""Follow-the-Ridge: its steps by dense algebra, and the games it is not defined on."""

import pytest
import torch

from l2o import UserError
from l2o.optimizers.hand_designed import FollowTheRidge
from l2o.problems import MatrixGame, Problem, Seesaw
from tests.helpers import double_batch
from tests.optimizers.hand_designed.games import Dense, Monotone, scalar_quadratic, smooth_game
from tests.optimizers.hand_designed.helpers import path, rate


def dense_steps(game: Dense, z: torch.Tensor) -> list[torch.Tensor]:
    """x⁺ = x − η_x∇ₓf, y⁺ = y + η_y∇_y f + η_x(∇²yy f)⁻¹∇²yx f ∇ₓf; η_x = .1, η_y = .2."""
    found = []
    for _ in range(3):
        (x, y), (grad_x, grad_y) = game.split(z), game.split(game.gradient(z))
        own = game.hessian(z)[game.m :, game.m :]
        ridge = torch.linalg.solve(own, game.coupling(z).T @ grad_x)
        z = torch.cat((x - 0.1 * grad_x, y + 0.2 * grad_y + 0.1 * ridge))
        found.append(z)
    return found


def test_steps_by_hand() -> None:
    game, z = smooth_game()
    torch.testing.assert_close(path(FollowTheRidge(0.1, 0.2), game, z, 3), dense_steps(game, z))


def test_steps_by_hand_on_a_quadratic() -> None:
    game = Dense(double_batch(Monotone(2, 3, kept=1.0), 1)[0])
    z = smooth_game()[1]
    torch.testing.assert_close(path(FollowTheRidge(0.1, 0.2), game, z, 3), dense_steps(game, z))


@pytest.mark.parametrize(("mu", "sigma"), [(1.0, 0.0), (1.0, 2.0), (0.5, 3.0)])
def test_rate_on_a_quadratic(mu: float, sigma: float) -> None:
    """Along the ridge y = σx/μ it descends max_y f = ½(μ + σ²/μ)x²; y − σx/μ shrinks by itself.

    So the eigenvalues are 1 − η_x(μ + σ²/μ) and 1 − η_y μ, both real.
    """
    expected = max(abs(1 - 0.05 * (mu + sigma**2 / mu)), abs(1 - 0.3 * mu))
    found = rate(FollowTheRidge(0.05, 0.3), scalar_quadratic(mu, sigma))
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("problem", [MatrixGame(m=2, n=3), Seesaw()], ids=["bilinear", "seesaw"])
def test_is_refused_where_f_is_linear_in_y(problem: Problem) -> None:
    instances, start = double_batch(problem, 4)
    with pytest.raises(UserError, match=r"invertible ∇²yy f, but it is singular .* 4 of 4"):
        FollowTheRidge().init(instances, start)

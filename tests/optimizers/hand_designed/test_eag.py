"""EAG-C, EAG-V and FEG: their bounds on ‖G‖ for every iteration, and what makes them tight."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from l2o.optimizers.hand_designed import EAGC, EAGV, FEG
from l2o.problems import Instances
from tests.optimizers.hand_designed.games import Dense, bilinear, scalar_quadratic, smooth_game
from tests.optimizers.hand_designed.helpers import (
    distance,
    field,
    lipschitz,
    monotone_batches,
    path,
    run,
)

ITERATIONS = 200


def squared_fields(optimizer: EAGC | EAGV | FEG, instances: Instances, z: Tensor) -> Tensor:
    """‖G_k‖², (T + 1, B)."""
    return field(instances, run(optimizer, instances, z, ITERATIONS)).square().sum(2)


@pytest.mark.parametrize(
    ("method", "bound"),
    [
        (EAGC, lambda k: 260 / (k + 1) ** 2),
        (EAGV, lambda k: 27 / ((k + 1) * (k + 2))),
        (FEG, lambda k: 4 / k**2),
    ],
    ids=["EAG-C", "EAG-V", "FEG"],
)
def test_bounds_on_monotone_games(
    method: type[EAGC | EAGV | FEG], bound: Callable[[Tensor], Tensor]
) -> None:
    """‖G_k‖² ≤ bound(k)·L²d² for every k (Yoon and Ryu 2021; Lee and Kim 2021)."""
    k = torch.arange(ITERATIONS + 1).double().unsqueeze(1)
    games = 0
    for instances, z in monotone_batches():
        steepest = lipschitz(instances)
        squares = squared_fields(method(steepest), instances, z)
        scale = (steepest * distance(instances, z)).square().T
        assert (squares <= bound(k) * scale * (1 + 1e-6)).all()
        games += len(instances)
    assert games > 90


def test_feg_attains_its_bound_on_xy() -> None:
    """From (1, 0), z_{4l+2} = (0, 1/(2l + 1)): ‖G‖² = 4/k² at k = 4l + 2."""
    z = run(FEG(), bilinear(), torch.tensor([[1.0, 0.0]]).double(), 102)[2::4, 0]
    expected = 1 / (2 * torch.arange(26).double() + 1)
    torch.testing.assert_close(z[:, 0], torch.zeros_like(expected), rtol=0, atol=1e-15)
    torch.testing.assert_close(z[:, 1], expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize("mu", [-0.5, -0.2, 0.5])
def test_feg_bound_on_comonotone_games(mu: float) -> None:
    """‖G_k‖² ≤ 4d²/((1/L + 2c)²k²); for μx²/2 + xy − μy²/2, ⟨Gz, z⟩ = μ‖z‖² and ‖Gz‖ = L‖z‖,
    L² = 1 + μ², so that c = μ/L²; negative where no solution is a local saddle point.
    """
    steepest = (1 + mu**2) ** 0.5
    c = mu / steepest**2
    method = FEG(steepest, c * steepest)
    z = torch.tensor([[0.6, 0.8]]).double()
    squares = squared_fields(method, scalar_quadratic(mu, 1.0), z)[1:, 0]
    k = torch.arange(1, ITERATIONS + 1).double()
    assert (squares <= 4 / ((1 / steepest + 2 * c) * k) ** 2 * (1 + 1e-9)).all()


@pytest.mark.parametrize("comonotonicity", [0.0, 0.3, -0.3])
def test_feg_steps_by_hand(comonotonicity: float) -> None:
    """β = 1/(k + 1), h = w − (1 − β)(1/L + 2c)G(z), z⁺ = w − G(h)/L − (1 − β)2c·G(z)."""
    game, start = smooth_game()
    big, c = 4.0, comonotonicity / 4.0
    z, expected = start, []
    for k in range(3):
        beta = 1 / (k + 1)
        w = z + beta * (start - z)
        half = w - (1 - beta) * (1 / big + 2 * c) * game.field(z)
        z = w - game.field(half) / big - (1 - beta) * 2 * c * game.field(z)
        expected.append(z)
    torch.testing.assert_close(path(FEG(big, comonotonicity), game, start, 3), expected)


def eag(game: Dense, start: Tensor, steps: list[float]) -> list[Tensor]:
    """w = z + (z₀ − z)/(k + 2), h = w − αG(z), z⁺ = w − αG(h)."""
    z, found = start, []
    for k, alpha in enumerate(steps):
        w = z + (start - z) / (k + 2)
        z = w - alpha * game.field(w - alpha * game.field(z))
        found.append(z)
    return found


def test_constant_steps_by_hand() -> None:
    game, start = smooth_game()
    torch.testing.assert_close(path(EAGC(4.0), game, start, 3), eag(game, start, [1 / 32] * 3))


def test_varying_steps_by_hand() -> None:
    """α₀ = .618/L, α_{k+1} = α_k/(1 − α_k²L²)·(1 − (k + 2)²/((k + 1)(k + 3))·α_k²L²).

    At k = 0, α₁L = .618/(1 − .381924)·(1 − 4/3·.381924).
    """
    steps = [0.618 / 4]
    for k in range(3):
        square = (4 * steps[k]) ** 2
        steps.append(steps[k] / (1 - square) * (1 - (k + 2) ** 2 / ((k + 1) * (k + 3)) * square))
    assert 4 * steps[1] == pytest.approx(0.618 / 0.618076 * 0.490768)
    game, start = smooth_game()
    torch.testing.assert_close(path(EAGV(4.0), game, start, 4), eag(game, start, steps))

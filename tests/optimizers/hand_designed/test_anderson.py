"""Anderson acceleration: its steps by dense algebra, GMRES on linear games, and restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from l2o.games import Game
from l2o.io.seeds import generator
from l2o.optimizers.hand_designed import Anderson, Extragradient, HandDesigned
from l2o.optimizers.hand_designed.base import zeros
from l2o.problems import QuadraticGame
from tests.helpers import double_batch
from tests.optimizers.hand_designed.games import Dense, random_matrix_games, smooth_game
from tests.optimizers.hand_designed.helpers import (
    distance,
    jacobian,
    krylov_minimizers,
    lipschitz,
    path,
    run,
)


def image(game: Dense, z: Tensor) -> Tensor:
    """One extragradient step of size 0.1."""
    return z - 0.1 * game.field(z - 0.1 * game.field(z))


def test_steps_by_hand() -> None:
    """z⁺ = T(z) − ΔT γ, γ = argmin ‖r − ΔR γ‖² + λ²‖ΔR‖²‖γ‖², over the last two differences."""
    game, z = smooth_game()
    images, residuals, expected = [], [], []
    for k in range(6):
        images.append(image(game, z))
        residuals.append(images[-1] - z)
        z = images[-1]
        if k > 0:
            d_r, d_t = (torch.stack(v).diff(dim=0).T for v in (residuals[-3:], images[-3:]))
            ridge = 1e-3 * d_r.norm() * torch.eye(d_r.shape[1]).double()
            right = torch.cat((residuals[-1], torch.zeros(len(ridge)).double()))
            z = z - d_t @ torch.linalg.lstsq(torch.cat((d_r, ridge)), right).solution
        expected.append(z)
    method = Anderson(Extragradient(0.1), memory=2, regularization=1e-3)
    torch.testing.assert_close(path(method, game, smooth_game()[1], 6), expected)


def test_first_step_is_that_of_the_wrapped_optimizer() -> None:
    game, z = smooth_game()
    base = Extragradient(0.1)
    assert torch.equal(path(Anderson(base), game, z, 1)[0], path(base, game, z, 1)[0])


def test_without_trust_it_is_the_wrapped_optimizer() -> None:
    """A correction longer than τ‖r‖ is left out; with τ → 0, every one."""
    game, z = smooth_game()
    method = Anderson(Extragradient(0.1), trust=1e-12)
    torch.testing.assert_close(path(method, game, z, 20), path(Extragradient(0.1), game, z, 20))


def test_is_gmres_on_the_fixed_point_map_of_linear_games() -> None:
    """T(z) = z − B z, B = ηM − η²M². As long as residuals fall, z_{k+1} = T(w_k) with w_k the
    least ‖B w‖ over the Krylov space of B (Walker and Ni 2011): solved after d + 1 iterations.

    The least squares are solved by normal equations, which lose half of the digits, and every
    iteration loses as many more as the residual has fallen by.
    """
    instances, start = double_batch(QuadraticGame(dimension=2, spectrum=[0.5, 2.0]), 50)
    z = torch.cat(start, dim=1)
    eta = 0.5 / lipschitz(instances)
    step = eta.unsqueeze(2) * jacobian(instances)
    step = step - step @ step
    method = Anderson(Extragradient(eta), memory=4, regularization=1e-10, trust=9e4)
    found = run(method, instances, z, 5)
    for k, least in enumerate(krylov_minimizers(step, z), 1):
        expected = least - (step @ least.unsqueeze(2)).squeeze(2)
        error = (1e-14, 1e-12, 1e-9, 1e-6)[k - 1]
        torch.testing.assert_close(found[k + 1], expected, rtol=0, atol=error)
    assert (distance(instances, found[5]) < 1e-6 * distance(instances, z)).all()


class Clock(NamedTuple):
    """The number of iterations done."""

    iteration: Tensor


@dataclass(frozen=True, eq=False)
class Scripted(HandDesigned[Clock]):
    """z⁺ = D z with D = diag(.9, .7, …), but for one iteration that adds something to it."""

    when: int = -1
    what: float = 0.0
    whom: int = 0

    def begin(self, game: Game, z: Tensor) -> Clock:
        return Clock(zeros(z))

    def advance(self, game: Game, z: Tensor, state: Clock) -> tuple[Tensor, Clock]:
        after = z * torch.linspace(0.9, 0.1, z.shape[1]).double()
        if int(state.iteration[0]) == self.when:
            after[self.whom] += self.what
        return after, Clock(state.iteration + 1)


@pytest.mark.parametrize("what", [1e6, float("nan"), float("inf")])
def test_a_blown_up_residual_starts_anew_from_the_best_point(what: float) -> None:
    """Iteration 3 fails: z₄ = T(z_b), ‖r_b‖ least of r₀, r₁, r₂, and then it is a new run."""
    instances = random_matrix_games(3, 3, 3)
    z = torch.randn(3, 6, generator=generator(0)).double()
    plain = run(Anderson(Scripted()), instances, z, 8)
    found = run(Anderson(Scripted(3, what, 1)), instances, z, 8)
    assert torch.equal(found[:4], plain[:4])
    assert torch.equal(found[:, [0, 2]], plain[:, [0, 2]]), "the others go on as they would"
    factors = torch.linspace(0.9, 0.1, 6).double()
    residuals = ((factors - 1) * plain[:3, 1]).norm(dim=1)
    best = factors * plain[residuals.argmin(), 1]
    torch.testing.assert_close(found[4, 1], best)
    anew = run(Anderson(Scripted()), instances, best.expand(3, 6), 4)
    torch.testing.assert_close(found[4:, 1], anew[:, 1])

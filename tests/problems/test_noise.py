"""Noise on what optimizers ask for, and on nothing else; one draw an iteration."""

from __future__ import annotations

import pytest
import torch

from l2o import UserError, unroll
from l2o.games import join
from l2o.io.seeds import generator
from l2o.optimizers import AlternatingLEAD, Extragradient, HalpernSafeguard
from l2o.problems import GANMixture, Instances, Iterate, MatrixGame, Noisy, Problem
from tests.helpers import PROBLEMS, double_batch

SIGMA = 0.3


def noisy_batch(
    problem: Problem, count: int, seed: int = 0, sigma: float = SIGMA
) -> tuple[Instances, Instances, Iterate]:
    """Instances with noise and without, and starting points."""
    exact, start = double_batch(problem, count)
    noisy = Noisy(problem, sigma).sample(count, generator(seed, "instances"), dtype=torch.double)
    return noisy, exact, start


def errors(noisy: Instances, exact: Instances, start: Iterate, iteration: int = 0) -> torch.Tensor:
    """Of the field of an iteration, (B, d)."""
    z = join(start)
    return noisy.at(iteration).field(z) - exact.field(z)


def test_fields_err_by_independent_normal_numbers() -> None:
    noisy, exact, start = noisy_batch(MatrixGame(m=2, n=3), 4000)
    both = torch.cat([errors(noisy, exact, start, k) for k in (0, 1)], dim=1)
    covariance = torch.cov(both.T)
    torch.testing.assert_close(covariance, SIGMA**2 * torch.eye(10).double(), atol=0.01, rtol=0)
    assert both.mean(0).abs().max() < 0.02


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_costs_distances_and_what_has_no_draw_stay_exact(problem: Problem) -> None:
    noisy, exact, start = noisy_batch(problem, 4)
    assert torch.equal(noisy.at(3).costs(*start).f, exact.costs(*start).f)
    assert torch.equal(noisy.at(3).distance(*start).joint, exact.distance(*start).joint)
    assert torch.equal(noisy.field(join(start)), exact.field(join(start)))


def test_seed_and_iteration_name_the_noise() -> None:
    noisy, exact, start = noisy_batch(MatrixGame(), 3)
    noise = errors(noisy, exact, start)
    assert torch.equal(noise, errors(noisy, exact, start)), "one draw serves all calls"
    assert not torch.equal(noise, errors(noisy, exact, start, 1))
    other, other_exact, _ = noisy_batch(MatrixGame(), 3, seed=1)
    other_exact = MatrixGame().sample(3, generator(1, "instances"), dtype=torch.double)
    assert not torch.equal(noise, errors(other, other_exact, start))
    double, _, _ = noisy_batch(MatrixGame(), 3, sigma=2 * SIGMA)
    torch.testing.assert_close(errors(double, exact, start), 2 * noise)
    state = torch.get_rng_state()
    errors(noisy, exact, start)
    assert torch.equal(torch.get_rng_state(), state), "the global generator was touched"


def test_parts_and_copies_keep_their_rows_noise() -> None:
    noisy, exact, start = noisy_batch(MatrixGame(), 6)
    whole = errors(noisy, exact, start, 5)
    for i in (slice(0, 2), torch.arange(6) % 2 == 1, torch.tensor([5, 0])):
        part = errors(noisy.select(i), exact.select(i), Iterate(start.x[i], start.y[i]), 5)
        torch.testing.assert_close(part, whole[i])
    twice = Iterate(start.x.repeat(2, 1), start.y.repeat(2, 1))
    repeated = errors(noisy.repeat(2), exact.repeat(2), twice, 5)
    torch.testing.assert_close(repeated, whole.repeat(2, 1))
    joined = noisy.select(slice(0, 2)).concatenate(noisy.select(slice(2, 6)))
    torch.testing.assert_close(errors(joined, exact, start, 5), whole)


def test_the_noise_is_the_same_in_every_float_type() -> None:
    noisy, exact, start = noisy_batch(MatrixGame(), 3)
    single = Iterate(start.x.float(), start.y.float())
    error = errors(noisy.to(torch.float), exact.to(torch.float), single)
    assert error.dtype == torch.float
    torch.testing.assert_close(error.double(), errors(noisy, exact, start), atol=1e-6, rtol=0)


def test_products_err_in_proportion_to_what_they_multiply() -> None:
    noisy, exact, start = noisy_batch(MatrixGame(m=2, n=3), 5)
    noise, drawn, (x, y), z = errors(noisy, exact, start), noisy.at(0), start, join(start)
    one = torch.zeros_like(y)
    one[:, 0] = 1
    for factor in (1.0, 1e-3):
        v = factor * one
        error = drawn.coupling_x(x, y, v) - exact.coupling_x(x, y, v)
        torch.testing.assert_close(error, factor * noise[:, :2])
    nothing = torch.zeros_like(one)
    assert torch.equal(drawn.coupling_x(x, y, nothing), torch.zeros_like(x))
    u = torch.ones_like(x)
    error = drawn.coupling_y(x, y, u) - exact.coupling_y(x, y, u)
    torch.testing.assert_close(error, 2**0.5 * noise[:, 2:])
    w = join((2 * u, one))
    torch.testing.assert_close(drawn.jvp(z, w) - exact.jvp(z, w), 3 * noise)


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.parametrize("step", [0.2, torch.tensor([[0.1], [0.2], [0.3]]).double()])
def test_the_resolvent_is_that_of_the_noisy_field(
    problem: Problem, step: float | torch.Tensor
) -> None:
    """z' + α(G(z') + ε) = z, with the ε of the iteration."""
    noisy, _, start = noisy_batch(problem, 3)
    drawn, z = noisy.at(0), join(start)
    # On seesaw, which is not monotone, only small steps have one solution nearby.
    step = step if problem.affine else step / 20
    near = drawn.resolvent(z, step)
    torch.testing.assert_close(near + step * drawn.field(near), z)


def test_a_neighbour_that_is_rejected_changes_no_noise() -> None:
    """Beside an instance that diverges, the safeguard asks once more; the others see the same."""
    noisy, _, start = noisy_batch(MatrixGame(m=2, n=2), 3)
    broken = Iterate(start.x.clone(), start.y.clone())
    broken.x[2] = torch.nan
    method = HalpernSafeguard(AlternatingLEAD(0.1, 0.1))
    with torch.no_grad():
        healthy, beside = (unroll(method, noisy, s, 10) for s in (start, broken))
    assert torch.equal(healthy.x[:, :2], beside.x[:, :2])
    assert torch.equal(healthy.y[:, :2], beside.y[:, :2])


def test_windows_go_on_with_the_noise() -> None:
    noisy, _, start = noisy_batch(MatrixGame(), 3)
    whole = unroll(Extragradient(0.1), noisy, start, 7)
    first = unroll(Extragradient(0.1), noisy, start, 4)
    rest = unroll(Extragradient(0.1), noisy, first.last, 3, state=first.state, first=4)
    assert torch.equal(rest.x[-1], whole.x[-1])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="noise: expected a finite number of at least 0"):
        Noisy(MatrixGame(), -1.0)
    first, second = (noisy_batch(MatrixGame(), 3, seed)[0] for seed in (0, 1))
    with pytest.raises(UserError, match="concatenate: expected parts of one batch"):
        first.concatenate(second)


def test_it_begins_where_its_problem_does() -> None:
    """Also where that draws its starting points and samples in a way of its own."""
    problem = GANMixture(width=5, depth=1, latent=3, batch=6, samples=20)
    noisy = Noisy(problem, 0.1)
    plain, seen = (p.sample_start(3, generator(0, "start")) for p in (problem, noisy))
    assert all(torch.equal(*pair) for pair in zip(plain, seen, strict=True))
    theta = problem.sample(3, generator(0, "instances")).theta
    expected, found = (p.samples_of(*plain, theta) for p in (problem, noisy))
    assert expected is not None
    assert found is not None
    assert all(torch.equal(*pair) for pair in zip(expected, found, strict=True))

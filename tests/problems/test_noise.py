"""Noise on what optimizers ask for, and on nothing else."""

from __future__ import annotations

from copy import copy

import pytest
import torch

from l2o import UserError
from l2o.problems import Instances, Iterate, MatrixGame, NoisyInstances, Problem
from tests.helpers import PROBLEMS, double_batch

SIGMA = 0.3


def noisy_batch(
    problem: Problem, count: int, split: str = "test"
) -> tuple[NoisyInstances, Instances, Iterate]:
    """Instances with noise and without, and starting points."""
    instances, start = double_batch(problem, count)
    return NoisyInstances(instances, SIGMA, 0, split), instances, start


def errors(noisy: Instances, exact: Instances, start: Iterate) -> torch.Tensor:
    """Of the next gradients, (B, d)."""
    return torch.cat(noisy.gradients(*start), 1) - torch.cat(exact.gradients(*start), 1)


def test_gradients_err_by_independent_normal_numbers() -> None:
    noisy, exact, start = noisy_batch(MatrixGame(m=2, n=3), 4000)
    first, second = errors(noisy, exact, start), errors(noisy, exact, start)
    both = torch.cat((first, second), dim=1)
    covariance = torch.cov(both.T)
    torch.testing.assert_close(covariance, SIGMA**2 * torch.eye(10).double(), atol=0.01, rtol=0)
    assert both.mean(0).abs().max() < 0.02


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_objectives_and_distances_stay_exact(problem: Problem) -> None:
    noisy, exact, start = noisy_batch(problem, 4)
    assert torch.equal(noisy.objective(*start), exact.objective(*start))
    assert torch.equal(noisy.distance(*start).joint, exact.distance(*start).joint)
    assert noisy.calls == 0


def test_seed_and_split_name_the_noise() -> None:
    noisy, exact, start = noisy_batch(MatrixGame(), 3)
    again, _, _ = noisy_batch(MatrixGame(), 3)
    noise = errors(noisy, exact, start)
    assert torch.equal(noise, errors(again, exact, start))
    for other in (
        NoisyInstances(exact, SIGMA, 1, "test"),
        NoisyInstances(exact, SIGMA, 0, "validation"),
    ):
        assert not torch.equal(noise, errors(other, exact, start))
    double = NoisyInstances(exact, 2 * SIGMA, 0, "test")
    torch.testing.assert_close(errors(double, exact, start), 2 * noise)
    state = torch.get_rng_state()
    errors(noisy, exact, start)
    assert torch.equal(torch.get_rng_state(), state), "the global generator was touched"


def test_parts_and_copies_keep_their_rows_noise_and_go_on_with_it() -> None:
    noisy, exact, start = noisy_batch(MatrixGame(), 6)
    errors(noisy, exact, start)
    calls = noisy.calls
    parts = [slice(0, 2), torch.arange(6) % 2 == 1, torch.tensor([5, 0])]
    part_errors = [
        errors(noisy.select(i), exact.select(i), Iterate(start.x[i], start.y[i])) for i in parts
    ]
    twice = Iterate(start.x.repeat(2, 1), start.y.repeat(2, 1))
    repeated = errors(noisy.repeat(2), exact.repeat(2), twice)
    rest = noisy.select(slice(2, 6))
    joined = errors(noisy.select(slice(0, 2)).concatenate(rest), exact, start)
    copied = errors(copy(noisy), exact, start)
    assert noisy.calls == calls, "copies count for themselves"
    whole = errors(noisy, exact, start)
    for index, part in zip(parts, part_errors, strict=True):
        torch.testing.assert_close(part, whole[index])
    torch.testing.assert_close(repeated, whole.repeat(2, 1))
    torch.testing.assert_close(joined, whole)
    assert torch.equal(copied, whole)


def test_the_noise_is_the_same_in_every_float_type() -> None:
    noisy, exact, start = noisy_batch(MatrixGame(), 3)
    single = noisy.to(torch.float)
    error = errors(single, exact.to(torch.float), Iterate(start.x.float(), start.y.float()))
    assert error.dtype == torch.float
    torch.testing.assert_close(error.double(), errors(noisy, exact, start), atol=1e-6, rtol=0)


def test_products_err_in_proportion_to_what_they_multiply() -> None:
    noisy, exact, (x, y) = noisy_batch(MatrixGame(m=2, n=3), 5)
    one, zero = torch.zeros_like(y), torch.zeros_like(y)
    one[:, 0] = 1
    for factor in (1.0, 1e-3):
        v = factor * one
        error = copy(noisy).coupling_xy(x, y, v) - exact.coupling_xy(x, y, v)
        noise = errors(copy(noisy), exact, Iterate(x, y))[:, :2]
        torch.testing.assert_close(error, factor * noise)
    assert torch.equal(noisy.coupling_xy(x, y, zero), torch.zeros_like(x))
    noise = errors(copy(noisy), exact, Iterate(x, y))
    product_y = copy(noisy).coupling_yx(x, y, torch.ones_like(x))
    exact_y = exact.coupling_yx(x, y, torch.ones_like(x))
    torch.testing.assert_close(product_y - exact_y, 2**0.5 * noise[:, 2:])
    products = copy(noisy).hessian_product(x, y, 2 * torch.ones_like(x), one)
    expected = exact.hessian_product(x, y, 2 * torch.ones_like(x), one)
    torch.testing.assert_close(torch.cat(products, 1) - torch.cat(expected, 1), 3 * noise)


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.parametrize("step", [0.2, torch.tensor([[0.1], [0.2], [0.3]]).double()])
def test_the_resolvent_is_that_of_the_noisy_field(
    problem: Problem, step: float | torch.Tensor
) -> None:
    """z' + α(G(z') + ε) = z, with the ε of the call."""
    noisy, _, (x, y) = noisy_batch(problem, 3)
    near_x, near_y = copy(noisy).resolvent(x, y, step)
    grad_x, grad_y = copy(noisy).gradients(near_x, near_y)
    torch.testing.assert_close(near_x + step * grad_x, x)
    torch.testing.assert_close(near_y - step * grad_y, y)


def test_what_does_not_fit_is_refused() -> None:
    noisy, exact, start = noisy_batch(MatrixGame(), 3)
    with pytest.raises(UserError, match="noise: expected a finite number of at least 0"):
        NoisyInstances(exact, -1.0, 0, "test")
    ahead = copy(noisy)
    ahead.gradients(*start)
    for other in (exact, ahead, NoisyInstances(exact, 1.0, 0, "test")):
        with pytest.raises(UserError, match="concatenate: expected instances of the same noise"):
            noisy.concatenate(other)

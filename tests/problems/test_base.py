"""What the base class offers: batches, sampling, and help with a problem of one's own."""

import pytest
import torch
from torch import Tensor

from l2o import UserError
from l2o.io.seeds import generator
from l2o.problems import MatrixGame, Problem, Saddle, Seesaw
from l2o.problems.base import Theta
from tests.helpers import PROBLEMS, Cubic, coupling_xy, coupling_yx, double_batch, gradients


def test_an_objective_is_enough() -> None:
    """∇f of c Σx³ + Σx Πy − Σy² and its coupling products, by hand."""
    problem = Cubic(m=2, n=2, c=[1.0, 2.0])
    problem.check()
    instances, (x, y) = double_batch(problem, 5)
    grad_x, grad_y = gradients(instances, x, y)
    c, product = instances.theta["c"], y.prod(1, keepdim=True)
    torch.testing.assert_close(grad_x, 3 * c * x**2 + product)
    total = x.sum(1, keepdim=True)
    torch.testing.assert_close(grad_y, total * y.flip(1) - 2 * y)
    u = torch.ones_like(x)
    torch.testing.assert_close(coupling_yx(instances, x, y, u), 2 * y.flip(1))
    v = torch.tensor([[1.0, -2.0]]).double().expand(5, 2)
    expected = (v * y.flip(1)).sum(1, keepdim=True).expand(5, 2)
    torch.testing.assert_close(coupling_xy(instances, x, y, v), expected)
    assert not problem.has_solutions


def test_an_objective_without_coupling_has_zero_products() -> None:
    class Separable(Problem):
        def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
            return (x - y).sum(-1)

    instances, (x, y) = double_batch(Separable(m=2, n=2), 3)
    assert coupling_xy(instances, x, y, y).abs().sum() == 0
    assert coupling_yx(instances, x, y, x).abs().sum() == 0


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_parts_of_a_batch_are_that_batch(problem: Problem) -> None:
    instances, (x, y) = double_batch(problem, 6)
    value = instances.costs(x, y).f
    first, rest = instances.select(slice(0, 2)), instances.select(torch.arange(2, 6))
    assert (len(first), len(rest)) == (2, 4)
    torch.testing.assert_close(first.costs(x[:2], y[:2]).f, value[:2])
    both = first.concatenate(rest)
    assert len(both) == 6
    torch.testing.assert_close(both.costs(x, y).f, value)
    odd = torch.arange(6) % 2 == 1
    torch.testing.assert_close(instances.select(odd).costs(x[odd], y[odd]).f, value[odd])
    thrice = instances.repeat(3)
    torch.testing.assert_close(thrice.costs(x.repeat(3, 1), y.repeat(3, 1)).f, value.repeat(3))


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_sampling_is_a_function_of_the_generator_alone(problem: Problem) -> None:
    state = torch.get_rng_state()
    draws = [
        (problem.sample(4, generator(seed)).theta, problem.sample_start(4, generator(seed, "x")))
        for seed in (3, 3, 4)
    ]
    assert torch.equal(torch.get_rng_state(), state), "the global generator was touched"
    for key, value in draws[0][0].items():
        assert torch.equal(value, draws[1][0][key])
    assert torch.equal(draws[0][1].x, draws[1][1].x)
    assert not torch.equal(draws[0][1].x, draws[2][1].x)


def test_draws_stay_in_their_ranges() -> None:
    problem = Seesaw(a=[2.0, 3.0], b=[0.5, 0.5], start_x=[-4, -3], start_y=[7, 9])
    theta, start = (
        problem.sample(1000, generator(0)).theta,
        problem.sample_start(1000, generator(1)),
    )
    for values, low, high in ((theta["a"], 2, 3), (start.x, -4, -3), (start.y, 7, 9)):
        assert low <= values.min() < low + 0.01
        assert high - 0.01 < values.max() <= high
    assert (theta["b"] == 0.5).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Seesaw(a=[5, 0]), r"a: the range \[5, 0\] is reversed; write \[0, 5\]"),
        (lambda: Seesaw(b=[0, float("inf")]), r"b: expected a range .*inf"),
        (lambda: Seesaw(a=[0, float("nan")]), r"a: expected a range .*nan"),
        (lambda: Seesaw(a=3), r"a: expected a range .* got 3"),
        (lambda: Seesaw(a=[1, 2, 3]), r"a: expected a range"),
        (lambda: Seesaw(start_x=["low", 1]), r"start_x: expected a range"),
        (lambda: Saddle(m=0), r"m: expected a whole number of at least 1, got 0"),
        (lambda: MatrixGame(n=-2), r"n: expected a whole number of at least 1, got -2"),
        (lambda: MatrixGame(m=2.5), r"m: expected a whole number"),
        (lambda: MatrixGame(p=1.5), r"p: expected a finite number from 0 to 1, got 1.5"),
        (lambda: MatrixGame(low=1, high=-1), r"low: expected at most high \(-1\), got 1"),
    ],
)
def test_bad_settings_are_refused(make, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()


class Summed(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x * y).sum()


class Misspelt(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (theta["missing"] * x).sum(-1)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Summed(), r"Summed.objective: expected one value per instance, shape \(3,\).*got shape"),
        (Misspelt(), r"Misspelt.objective failed .* KeyError: 'missing'"),
    ],
)
def test_a_broken_objective_is_told_before_long_work(problem: Problem, words: str) -> None:
    with pytest.raises(UserError, match=words):
        problem.check()

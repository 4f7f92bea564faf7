"""Every problem against automatic differentiation and against its declared solutions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from l2o.games import join
from l2o.io.seeds import generator
from l2o.problems import Instances, MatrixGame, Problem, RotatedSaddle, Saddle, Seesaw
from l2o.problems.matrix_game import singular_vectors
from tests.helpers import PROBLEMS, Open, TwoCosts, double_batch, gradients

problems = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


@problems
@pytest.mark.parametrize("kind", [Open, TwoCosts])
@pytest.mark.parametrize("copies", [1, 3])
def test_closed_forms_equal_automatic_differentiation(
    problem: Problem, kind: type[Open], copies: int
) -> None:
    instances, _ = double_batch(problem, 7)
    rows = torch.arange(7).repeat(copies)
    automatic = Instances(kind(problem), instances.select(rows).theta, 7 * copies)
    closed, d = instances.repeat(copies), problem.m + problem.n
    z, w = torch.randn(2, 7 * copies, d, generator=generator(0)).double()
    for name, arguments in {
        "field": (z,),
        "jvp": (z, w),
        "vjp": (z, w),
        "coupling": (z, w),
        "resolvent": (z, 0.1),
        "resolvent ": (z, 0.1 + 0.1 * torch.rand(7 * copies, 1, generator=generator(1)).double()),
    }.items():
        found = [getattr(game, name.strip())(*arguments) for game in (closed, automatic)]
        torch.testing.assert_close(*found, msg=name)
    for half in (0, 1):
        name = ("field_x", "field_y")[half]
        found = [getattr(game, name)(*game.split(z)) for game in (closed, automatic)]
        torch.testing.assert_close(*found)
        torch.testing.assert_close(found[0], closed.split(closed.field(z))[half])


@problems
def test_fields_are_those_of_the_objective(problem: Problem) -> None:
    instances, (x, y) = double_batch(problem, 4)
    x.requires_grad_(), y.requires_grad_()
    assert torch.autograd.gradcheck(lambda *point: instances.costs(*point).f, (x, y))
    assert torch.autograd.gradcheck(lambda *point: instances.field(join(point)), (x, y))
    assert torch.autograd.gradcheck(lambda *point: instances.resolvent(join(point), 0.1), (x, y))


@problems
def test_fields_pass_gradients_only_where_the_caller_records_them(problem: Problem) -> None:
    instances, start = double_batch(problem, 2)
    z = join(start).requires_grad_()
    automatic = Instances(Open(problem), instances.theta, 2)
    for game in (instances, automatic):
        assert game.field(z).requires_grad
        assert not game.constant().field(z).requires_grad
        assert torch.equal(game.constant().field(z), game.field(z))
        with torch.no_grad():
            assert not game.field(z).requires_grad


def test_copies_share_theta() -> None:
    game = MatrixGame(m=20, n=20).sample(5, generator(0))
    copies = game.repeat(100)
    assert len(copies) == 500
    assert copies.theta["A"].data_ptr() == game.theta["A"].data_ptr()


@problems
def test_declared_solution_is_a_saddle_point(problem: Problem) -> None:
    """f(x*, y) ≤ f(x*, y*) ≤ f(x, y*) near it (paper, Eq. 1), and the gradient is zero."""
    instances, (x, y) = double_batch(problem, 50)
    x_star, y_star = problem.nearest(x, y, instances.theta)
    for gradient in gradients(instances, x_star, y_star):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-6, rtol=0)
    value = instances.costs(x_star, y_star).f
    close = 1e-3 * torch.randn(2, *x.shape).double()[0], 1e-3 * torch.randn(50, problem.n).double()
    assert (instances.costs(x_star, y_star + close[1]).f <= value + 1e-8).all()
    assert (instances.costs(x_star + close[0], y_star).f >= value - 1e-8).all()


@problems
def test_nearest_solution_is_its_own_nearest(problem: Problem) -> None:
    instances, (x, y) = double_batch(problem, 20)
    nearest = problem.nearest(x, y, instances.theta)
    again = problem.nearest(*nearest, instances.theta)
    torch.testing.assert_close(again, nearest, atol=1e-7, rtol=1e-6)
    assert (instances.distance(*nearest).joint < 1e-6).all()


@problems
def test_nearest_takes_leading_axes(problem: Problem) -> None:
    instances, (x, y) = double_batch(problem, 5)
    distance = instances.distance(torch.stack((x, 2 * x)), torch.stack((y, 3 * y)))
    assert distance.joint.shape == (2, 5)
    torch.testing.assert_close(distance.x[1], instances.distance(2 * x, 3 * y).x)
    torch.testing.assert_close(distance.y[0], instances.distance(x, y).y)


@given(a=st.floats(0.05, 5), x=st.floats(-20, 20), y=st.floats(-5, 5), b=st.floats(0.01, 2))
def test_seesaw_distance_is_the_least_over_the_lattice(
    a: float, x: float, y: float, b: float
) -> None:
    theta = {"a": _one(a), "b": _one(b)}
    x_star, y_star = Seesaw().nearest(_one(x), _one(y), theta)
    lattice = torch.arange(-200, 201).double() / a
    assert abs(x - x_star.item()) == pytest.approx((x - lattice).abs().min().item(), abs=1e-9)
    assert y_star.item() == 0


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_seesaw_that_vanishes_is_solved_everywhere(a: float, b: float) -> None:
    x, y = Seesaw().nearest(_one(0.3), _one(0.4), {"a": _one(a), "b": _one(b)})
    assert (x.item(), y.item()) == (0.3, 0.4)


def test_seesaw_of_tiny_frequency_has_its_nearest_solution_at_zero() -> None:
    x, _ = Seesaw().nearest(_one(0.3), _one(0.1), {"a": _one(1e-30), "b": _one(1.0)})
    assert x.item() == 0


def test_seesaw_gradient_by_hand() -> None:
    """f = −b y sin(aπx) at a = ½, b = 2, x = ½, y = 3: −3π cos(π/4), −2 sin(π/4)."""
    theta = {"a": _one(0.5), "b": _one(2.0)}
    grad_x, descent_y = Seesaw().field(_one(0.5), _one(3.0), theta)
    assert grad_x.item() == pytest.approx(-3 * math.pi * math.sqrt(0.5))
    assert descent_y.item() == pytest.approx(2 * math.sqrt(0.5))


def test_distance_to_a_singular_game_ignores_the_null_spaces() -> None:
    """A = e₁ᵀe₁ leaves x₂ and y₂, y₃ free: the distances are |x₁| and |y₁|."""
    matrix = torch.zeros(1, 2, 3)
    matrix[0, 0, 0] = 2.0
    game = MatrixGame(m=2, n=3)
    theta = {"A": matrix, **singular_vectors(matrix)}
    x, y = torch.tensor([[3.0, 7.0]]), torch.tensor([[-4.0, 5.0, 6.0]])
    x_star, y_star = game.nearest(x, y, theta)
    torch.testing.assert_close(x_star, torch.tensor([[0.0, 7.0]]))
    torch.testing.assert_close(y_star, torch.tensor([[0.0, 5.0, 6.0]]))


@given(st.integers(0, 10_000))
def test_singular_vectors_make_up_the_matrix(seed: int) -> None:
    matrix = MatrixGame(m=4, n=5, p=0.3).sample(3, generator(seed)).theta["A"].double()
    parts = singular_vectors(matrix)
    torch.testing.assert_close(parts["U"] * parts["s"].unsqueeze(1) @ parts["V"].mT, matrix)
    assert torch.equal((parts["s"] > 0).sum(1), torch.linalg.matrix_rank(matrix))


def test_matrix_game_entries_follow_their_distribution() -> None:
    matrix = MatrixGame(m=50, n=60, p=0.3, low=0.5, high=1.0).sample(20, generator(0)).theta["A"]
    kept = matrix[matrix != 0]
    assert 0.5 <= kept.min() < 0.51
    assert 0.99 < kept.max() <= 1
    # 60,000 draws: the share has a standard deviation of 0.002.
    assert len(kept) / matrix.numel() == pytest.approx(0.3, abs=0.01)


def test_a_third_of_the_masked_games_is_singular() -> None:
    """The paper's 5 × 5 games: about 31 % of the masked matrices have a null space."""
    theta = MatrixGame().sample(4000, generator(0)).theta
    singular = theta["s"][:, -1] == 0
    assert singular.float().mean().item() == pytest.approx(0.31, abs=0.03)


def test_values_by_hand() -> None:
    x, y = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -1.0]])
    theta = {"a": _one(2.0).float(), "b": _one(0.5).float()}
    assert Saddle(m=2, n=2).objective(x, y, theta).item() == 2 * 5 - 0.5 * 10
    assert RotatedSaddle(dimension=2).objective(x, y, theta).item() == 5 + 2 * (3 - 2)
    matrix = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    # A y = (1, 5), x · A y = 11
    assert MatrixGame(m=2, n=2).objective(x, y, {"A": matrix}).item() == 11


def _one(value: float) -> Tensor:
    return torch.tensor([[value]], dtype=torch.double)

"""The resolvent against its definition, in closed form and by Newton's method."""

import pytest
import torch

from l2o.problems import Problem, Seesaw
from tests.helpers import PROBLEMS, Cubic, double_batch

quadratic = pytest.mark.parametrize(
    "problem", [p for p in PROBLEMS.values() if p.quadratic], ids=lambda p: type(p).__name__
)


@quadratic
@pytest.mark.parametrize("step", [0.03, 1.0, 30.0])
def test_satisfies_its_equation(problem: Problem, step: float) -> None:
    """z' + αG(z') = z."""
    instances, (x, y) = double_batch(problem, 6)
    for solve in (problem.resolvent, lambda *a: Problem.resolvent(problem, *a)):
        near_x, near_y = solve(x, y, step, instances.theta)
        grad_x, grad_y = instances.gradients(near_x, near_y)
        torch.testing.assert_close(near_x + step * grad_x, x, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(near_y - step * grad_y, y, rtol=1e-10, atol=1e-12)


@quadratic
def test_takes_one_step_size_per_instance(problem: Problem) -> None:
    instances, (x, y) = double_batch(problem, 4)
    steps = torch.tensor([[0.1], [0.5], [2.0], [8.0]]).double()
    for solve in (problem.resolvent, lambda *a: Problem.resolvent(problem, *a)):
        together = torch.cat(solve(x, y, steps, instances.theta), dim=1)
        for b, step in enumerate(steps.flatten().tolist()):
            theta = instances.select(slice(b, b + 1)).theta
            alone = torch.cat(solve(x[b : b + 1], y[b : b + 1], step, theta), dim=1)
            torch.testing.assert_close(together[b], alone[0])


@quadratic
def test_is_firmly_nonexpansive(problem: Problem) -> None:
    """‖Jz − Jw‖² ≤ ⟨Jz − Jw, z − w⟩: what every monotone G has."""
    instances, (x, y) = double_batch(problem, 20)
    image = torch.cat(instances.resolvent(x, y, 1.7), dim=1)
    other = torch.cat(instances.resolvent(-2 * x, y.flip(0), 1.7), dim=1)
    apart = torch.cat((3 * x, y - y.flip(0)), dim=1)
    moved = image - other
    assert (moved.square().sum(1) <= (moved * apart).sum(1) + 1e-12).all()


@pytest.mark.parametrize("problem", [Seesaw(a=[0.1, 1.0]), Cubic(m=2, n=1, c=[0.1, 0.2])])
def test_is_solved_for_where_there_is_no_closed_form(problem: Problem) -> None:
    """Small steps, for which the equation has one solution nearby."""
    instances, (x, y) = double_batch(problem, 50)
    near_x, near_y = instances.resolvent(x, y, 0.1)
    grad_x, grad_y = instances.gradients(near_x, near_y)
    torch.testing.assert_close(near_x + 0.1 * grad_x, x, rtol=0, atol=1e-12)
    torch.testing.assert_close(near_y - 0.1 * grad_y, y, rtol=0, atol=1e-12)


def test_large_steps_on_a_nonmonotone_problem_never_raise_the_residual() -> None:
    instances, (x, y) = double_batch(Seesaw(a=[4.0, 5.0], b=[2.0, 2.0]), 200)
    near_x, near_y = instances.resolvent(x, y, 20.0)
    grad_x, grad_y = instances.gradients(near_x, near_y)
    residual = torch.cat((near_x + 20 * grad_x - x, near_y - 20 * grad_y - y), dim=1).norm(dim=1)
    start = torch.cat([20 * g for g in instances.gradients(x, y)], dim=1).norm(dim=1)
    assert near_x.isfinite().all()
    assert (residual <= start).all()


def test_a_broken_instance_changes_no_other() -> None:
    instances, (x, y) = double_batch(Seesaw(), 4)
    healthy, _ = instances.resolvent(x, y, 0.5)
    broken = x.clone()
    broken[1] = torch.nan
    found, _ = instances.resolvent(broken, y, 0.5)
    others = torch.tensor([0, 2, 3])
    assert torch.equal(found[others], healthy[others])

"""The resolvent against its definition, in closed form and by Newton's method."""

import pytest
import torch

from l2o.games import Game, join
from l2o.problems import Problem, Seesaw
from l2o.resolvent import solve_resolvent
from tests.helpers import PROBLEMS, Cubic, double_batch

affine = pytest.mark.parametrize(
    "problem", [p for p in PROBLEMS.values() if p.affine], ids=lambda p: type(p).__name__
)
SOLVERS = (lambda game, z, step: game.resolvent(z, step), solve_resolvent)


@affine
@pytest.mark.parametrize("step", [0.03, 1.0, 30.0])
def test_satisfies_its_equation(problem: Problem, step: float) -> None:
    """z' + αG(z') = z."""
    game, start = double_batch(problem, 6)
    z = join(start)
    for solve in SOLVERS:
        near = solve(game, z, step)
        torch.testing.assert_close(near + step * game.field(near), z, rtol=1e-10, atol=1e-12)


@affine
def test_takes_one_step_size_per_instance(problem: Problem) -> None:
    game, start = double_batch(problem, 4)
    z, steps = join(start), torch.tensor([[0.1], [0.5], [2.0], [8.0]]).double()
    for solve in SOLVERS:
        together = solve(game, z, steps)
        for b, step in enumerate(steps.flatten().tolist()):
            alone = solve(game.select(slice(b, b + 1)), z[b : b + 1], step)
            torch.testing.assert_close(together[b], alone[0])


@affine
def test_is_firmly_nonexpansive(problem: Problem) -> None:
    """‖Jz − Jw‖² ≤ ⟨Jz − Jw, z − w⟩: what every monotone G has."""
    game, (x, y) = double_batch(problem, 20)
    z, w = join((x, y)), join((-2 * x, y.flip(0)))
    moved = game.resolvent(z, 1.7) - game.resolvent(w, 1.7)
    assert (moved.square().sum(1) <= (moved * (z - w)).sum(1) + 1e-12).all()


@pytest.mark.parametrize("problem", [Seesaw(a=[0.1, 1.0]), Cubic(m=2, n=1, c=[0.1, 0.2])])
def test_is_solved_for_where_there_is_no_closed_form(problem: Problem) -> None:
    """Small steps, for which the equation has one solution nearby; its derivatives are right."""
    game, start = double_batch(problem, 50)
    z = join(start)
    near = game.resolvent(z, 0.1)
    torch.testing.assert_close(near + 0.1 * game.field(near), z, rtol=0, atol=1e-12)
    few, part = game.select(slice(0, 3)), z[:3].clone().requires_grad_()
    step = torch.full((3, 1), 0.1).double().requires_grad_()
    assert torch.autograd.gradcheck(few.resolvent, (part, step))
    with torch.no_grad():
        assert torch.equal(few.resolvent(part, step), few.resolvent(part, step).detach())


def test_large_steps_on_a_nonmonotone_problem_never_raise_the_residual() -> None:
    game, start = double_batch(Seesaw(a=[4.0, 5.0], b=[2.0, 2.0]), 200)
    z = join(start)
    near = game.resolvent(z, 20.0)
    residual = (near + 20 * game.field(near) - z).norm(dim=1)
    assert near.isfinite().all()
    assert (residual <= (20 * game.field(z)).norm(dim=1)).all()


def test_a_broken_instance_changes_no_other() -> None:
    game, start = double_batch(Seesaw(), 4)
    z = join(start)
    broken = z.clone()
    broken[1, 0] = torch.nan
    others = torch.tensor([0, 2, 3])
    assert torch.equal(game.resolvent(broken, 0.5)[others], game.resolvent(z, 0.5)[others])


def test_what_newton_takes_is_counted() -> None:
    """d products and two fields a step: one step on an affine field, ten at most elsewhere."""

    def calls(game: Game) -> float:
        return game.resolvent_calls

    assert calls(double_batch(PROBLEMS["saddle"], 1)[0]) == 1
    assert calls(double_batch(Seesaw(), 1)[0]) == 10 * (2 + 2)

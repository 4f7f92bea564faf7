"""What holds of the structured twin whatever its weights: scale, order, place, batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from l2o.io.seeds import generator
from l2o.problems import Instances, MatrixGame, Problem, Seesaw
from l2o.problems.base import Theta
from tests.optimizers.hand_designed.games import matrix_game, random_matrix_games
from tests.optimizers.hand_designed.helpers import run
from tests.optimizers.learned.structured.helpers import (
    batch,
    on_every_problem,
    trained_or_not,
    twin,
)

SHORT = 12
"""Iterations in which rounding errors have not grown yet."""


def scaled(instances: Instances, factor: float) -> Instances:
    """The same games with f times a factor."""
    name = "A" if "A" in instances.theta else "b"
    theta = {**instances.theta, name: factor * instances.theta[name]}
    return Instances(instances.problem, theta, len(instances))


@trained_or_not
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("exponent", [-3, 3, 20])
def test_a_power_of_two_on_f_changes_no_bit(
    trained: float, dtype: torch.dtype, exponent: int
) -> None:
    """f → c·f for c = 2^−3 to 2^20 ≈ 1e6: every ratio is the same to the last digit."""
    instances, z = batch(MatrixGame(m=3, n=4))
    instances, z = instances.to(dtype), z.to(dtype)
    optimizer = twin(trained).to(dtype)
    original = run(optimizer, instances, z, SHORT)
    assert torch.equal(run(optimizer, scaled(instances, 2.0**exponent), z, SHORT), original)


@trained_or_not
@pytest.mark.parametrize("factor", [1e-6, 0.3, 1e6])
@pytest.mark.parametrize("problem", [MatrixGame(m=3, n=4), Seesaw(a=[0.5, 2.0])], ids=type)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.float64, 1e-9)], ids=str
)
def test_any_factor_on_f_changes_nothing_but_rounding(
    trained: float, factor: float, problem: Problem, dtype: torch.dtype, tolerance: float
) -> None:
    instances, z = batch(problem)
    instances, z = instances.to(dtype), z.to(dtype)
    optimizer = twin(trained).to(dtype)
    found, expected = (run(optimizer, i, z, 8) for i in (scaled(instances, factor), instances))
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


def test_a_factor_on_f_decides_where_it_is_not_normalized() -> None:
    """So the tests above can fail. The secant step has no scale: it takes the base step."""
    instances, z = batch(MatrixGame(m=3, n=4))
    optimizer = twin(normalizer="none", memory=0)
    found, expected = (run(optimizer, i, z, 10) for i in (scaled(instances, 0.3), instances))
    assert (found - expected).abs().max() > 1e-2


@trained_or_not
@pytest.mark.parametrize("player", ["x", "y"])
def test_coordinates_are_interchangeable(trained: float, player: str) -> None:
    instances = random_matrix_games(4, 4, 3)
    z = torch.rand(4, 7, generator=generator(0, "start")).double() - 0.5
    order = torch.tensor([2, 0, 3, 1]) if player == "x" else torch.tensor([2, 0, 1])
    matrix, rest = instances.theta["A"], torch.arange(7)
    if player == "x":
        matrix, of_all = matrix[:, order], torch.cat((order, rest[4:]))
    else:
        matrix, of_all = matrix[:, :, order], torch.cat((rest[:4], 4 + order))
    original = run(twin(trained), instances, z, SHORT)
    shuffled = run(twin(trained), matrix_game(matrix), z[:, of_all], SHORT)
    torch.testing.assert_close(shuffled, original[..., of_all], rtol=0, atol=1e-8)


@trained_or_not
def test_players_change_places(trained: float) -> None:
    """max over y, min over x of −f: with one network for both, x and y change their roles."""
    instances = random_matrix_games(4, 4, 3)
    z = torch.rand(4, 7, generator=generator(0, "start")).double() - 0.5
    swapped = matrix_game(-instances.theta["A"].mT)
    original = run(twin(trained, share_weights=True), instances, z, SHORT)
    others = run(
        twin(trained, share_weights=True), swapped, torch.cat((z[:, 4:], z[:, :4]), 1), SHORT
    )
    exchanged = torch.cat((others[..., 3:], others[..., :3]), dim=-1)
    torch.testing.assert_close(exchanged, original, rtol=0, atol=1e-8)


class Shifted(Problem):
    """Another problem whose solutions lie elsewhere: f(x − 3, y + 2)."""

    SHIFT = (3.0, -2.0)

    def __init__(self, inner: Problem) -> None:
        super().__init__(m=inner.m, n=inner.n)
        self.inner = inner

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return self.inner.objective(x - self.SHIFT[0], y - self.SHIFT[1], theta)

    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor] | None:
        return self.inner.field(x - self.SHIFT[0], y - self.SHIFT[1], theta)

    def coupling_x(self, x: Tensor, y: Tensor, v: Tensor, theta: Theta) -> Tensor | None:
        return self.inner.coupling_x(x - self.SHIFT[0], y - self.SHIFT[1], v, theta)

    def coupling_y(self, x: Tensor, y: Tensor, u: Tensor, theta: Theta) -> Tensor | None:
        return self.inner.coupling_y(x - self.SHIFT[0], y - self.SHIFT[1], u, theta)


@on_every_problem
@trained_or_not
@pytest.mark.parametrize("directions", [["gradient", "optimism", "momentum"], ["coupling"]])
def test_where_the_solution_lies_does_not_matter(
    problem: Problem, trained: float, directions: list[str]
) -> None:
    instances, z = batch(problem)
    shift = (
        torch.tensor(Shifted.SHIFT).double().repeat_interleave(torch.tensor([problem.m, problem.n]))
    )
    elsewhere = Instances(Shifted(problem), instances.theta, len(instances))
    optimizer = twin(trained, directions=directions)
    original = run(optimizer, instances, z, 8)
    moved = run(optimizer, elsewhere, z + shift, 8)
    torch.testing.assert_close(moved - shift, original, rtol=0, atol=1e-8)


@on_every_problem
@trained_or_not
def test_batched_is_one_by_one(problem: Problem, trained: float) -> None:
    instances, z = batch(problem)
    optimizer = twin(trained)
    together = run(optimizer, instances, z, SHORT)
    for b in range(5):
        one = slice(b, b + 1)
        alone = run(optimizer, instances.select(one), z[one], SHORT)
        torch.testing.assert_close(together[:, one], alone, rtol=0, atol=1e-8)


@on_every_problem
@pytest.mark.parametrize("poison", [torch.nan, 1e200])
@pytest.mark.parametrize("settings", [{}, {"memory": 0}, {"trust": False}], ids=str)
def test_a_broken_instance_changes_no_bit_of_another(
    problem: Problem, poison: float, settings: dict[str, Any]
) -> None:
    instances, z = batch(problem)
    broken = z.clone()
    broken[2] = poison
    others = [0, 1, 3, 4]
    optimizer = twin(1.0, **settings)
    healthy = run(optimizer, instances, z, SHORT)
    assert torch.equal(run(optimizer, instances, broken, SHORT)[:, others], healthy[:, others])
    assert healthy.isfinite().all()


def test_an_instance_that_becomes_infinite_on_the_way_changes_no_other() -> None:
    """A network that wants steps a thousand times too long, on the seesaw and without trust."""
    instances, z = batch(Seesaw(), 4)
    optimizer, others = twin(1e5, trust=False), [0, 2, 3]
    healthy = run(optimizer, instances, z, 30)
    instances.theta["b"][1] = 1e250
    assert torch.equal(run(optimizer, instances, z, 30)[:, others], healthy[:, others])

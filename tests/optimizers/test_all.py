"""What holds for every optimizer on every kind of game, hand-designed or learned."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from l2o import Detach, Iterate, Trajectory, unroll
from l2o.games import Game
from l2o.io.seeds import generator
from l2o.optimizers import Optimizer, tensors
from l2o.problems import Problem
from tests.helpers import double_batch
from tests.optimizers.every import on_closed_forms, on_open_games

ITERATIONS = 6


def recorded(start: Iterate) -> Iterate:
    """The same starting points, from where graphs are recorded."""
    return Iterate(*(point.clone().requires_grad_() for point in start))


def run(
    optimizer: Optimizer[Any], game: Game, start: Iterate, iterations: int = ITERATIONS, **kw: Any
) -> Trajectory:
    return unroll(optimizer, game, start, iterations, generator=generator(0, "states"), **kw)


def weights(optimizer: Any) -> list[Tensor]:
    """The meta-parameters, also of what a safeguard guards."""
    inner = getattr(optimizer, "optimizer", optimizer)
    return list(inner.parameters()) if isinstance(inner, nn.Module) else []


@pytest.mark.parametrize("detach", Detach)
@on_open_games
def test_recorded_or_not_a_trajectory_is_the_same(
    optimizer: Optimizer[Any], problem: Problem, detach: Detach
) -> None:
    """To the last bit: partial derivatives hold the other player fixed, whatever it came from."""
    game, start = double_batch(problem, 3)
    with torch.no_grad():
        expected = run(optimizer, game, start)
    found = run(optimizer, game, recorded(start), detach=detach)
    assert expected.x.isfinite().all()
    assert torch.equal(found.x, expected.x)
    assert torch.equal(found.y, expected.y)
    pairs = zip(tensors(found.state), tensors(expected.state), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("detach", Detach)
@on_closed_forms
def test_and_so_it_is_where_forms_are_closed(
    optimizer: Optimizer[Any], problem: Problem, detach: Detach
) -> None:
    game, start = double_batch(problem, 3)
    with torch.no_grad():
        expected = run(optimizer, game, start)
    found = run(optimizer, game, recorded(start), detach=detach)
    assert torch.equal(found.x, expected.x)
    assert torch.equal(found.y, expected.y)


@on_open_games
def test_gradients_of_an_unroll_are_exact(optimizer: Optimizer[Any], problem: Problem) -> None:
    """By the start, and by the weights: as central differences along a random direction."""
    game, start = double_batch(problem, 3)
    source = generator(0, "directions")
    leaves = [*recorded(start), *weights(optimizer)]
    ends = [torch.randn(point.shape, generator=source).double() for point in start]

    def value(point: Iterate) -> Tensor:
        # After a fourth, secants have solved the quadratic game, and all that is left is rounding.
        last = run(optimizer, game, point, 3).last
        return (last.x * ends[0]).sum() + (last.y * ends[1]).sum()

    gradients = torch.autograd.grad(value(Iterate(*leaves[:2])), leaves, allow_unused=True)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        direction = torch.randn(leaf.shape, generator=source).double()
        slope = 0.0 if gradient is None else (gradient * direction).sum().item()
        values = []
        with torch.no_grad():
            for step in (1e-6, -2e-6):
                leaf += step * direction
                values.append(value(Iterate(*leaves[:2])).item())
            leaf += 1e-6 * direction
        rounding = 1e-9 * max(map(abs, values))  # of the difference, that of each value / 2e-6
        difference = (values[0] - values[1]) / 2e-6
        assert slope == pytest.approx(difference, rel=1e-4, abs=max(1e-6, rounding))

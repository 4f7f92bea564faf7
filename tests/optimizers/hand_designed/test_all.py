"""What holds for every hand-designed method: instances stay apart, and coordinates are alike."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from l2o.io.seeds import generator
from l2o.optimizers import hand_designed, map_state
from l2o.optimizers.hand_designed import HandDesigned
from l2o.problems import Instances, MatrixGame
from tests.optimizers.hand_designed.games import Monotone, Smooth, random_matrix_games
from tests.optimizers.hand_designed.helpers import distance, run, split
from tests.optimizers.hand_designed.methods import METHODS

every_method = pytest.mark.parametrize("name", METHODS)
on_every_game = pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param(name, problem, id=f"{name}-{type(problem).__name__}")
        for name, method in METHODS.items()
        for problem in (Monotone(2, 3, kept=1.0), Smooth())
        if problem.affine or name != "GMRES"
    ],
)

SLOW = {"GDAnchoring": 0.5, "EAGC": 0.1}
"""What these leave of the distance: the anchor's pull fades like k^{−1/3}, and α is 1/(8L)."""


def batch(problem: Monotone | Smooth, count: int = 4) -> tuple[Instances, Tensor]:
    instances = problem.sample(count, generator(0, "instances")).to(torch.double)
    return instances, torch.rand(count, 5, generator=generator(0, "start")).double() - 0.5


def test_no_method_is_missing() -> None:
    classes = {name for name, value in vars(hand_designed).items() if inspect.isclass(value)}
    assert classes - {"Grid", "HandDesigned", "Players"} == set(METHODS)


@on_every_game
def test_batched_is_one_by_one(name: str, problem: Monotone | Smooth) -> None:
    instances, z = batch(problem)
    together = run(METHODS[name], instances, z, 6)
    for b in range(4):
        one = slice(b, b + 1)
        torch.testing.assert_close(
            together[:, one], run(METHODS[name], instances.select(one), z[one], 6)
        )


@on_every_game
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e300])
def test_a_broken_instance_changes_no_other(
    name: str, problem: Monotone | Smooth, poison: float
) -> None:
    instances, z = batch(problem)
    broken = z.clone()
    broken[2] = poison
    others = [0, 1, 3]
    healthy = run(METHODS[name], instances, z, 5)
    assert torch.equal(run(METHODS[name], instances, broken, 5)[:, others], healthy[:, others])
    assert healthy.isfinite().all()


@every_method
def test_state_has_the_batch_axis_first(name: str) -> None:
    instances, z = batch(Monotone(2, 3, kept=1.0))
    state = METHODS[name].init(instances, split(instances, z))
    for state_now in (state, METHODS[name].step(instances, split(instances, z), state)[1]):
        leaves: list[Tensor] = []
        map_state(lambda leaf, seen=leaves: seen.append(leaf) or leaf, state_now)
        assert all(leaf.ndim >= 2 and len(leaf) == 4 for leaf in leaves)
        assert all(leaf.dtype == torch.double for leaf in leaves)


@pytest.mark.parametrize(
    ("name", "parameter"), [(name, key) for name, method in METHODS.items() for key in method.grids]
)
def test_one_value_per_instance_is_one_run_per_value(name: str, parameter: str) -> None:
    instances, z = batch(Monotone(2, 3, kept=1.0), 3)
    values = METHODS[name].grids[parameter].values()
    values = [values[0], values[len(values) // 2], values[-1]]
    tensor = torch.tensor(values, dtype=torch.double).unsqueeze(1)

    def settled(value: float | Tensor) -> HandDesigned[Any]:
        return dataclasses.replace(METHODS[name], **{parameter: value})

    together = run(settled(tensor), instances, z, 8)
    alone = [run(settled(v), instances.select([b]), z[[b]], 8) for b, v in enumerate(values)]
    torch.testing.assert_close(together, torch.cat(alone, dim=1))
    # The value does what it says: another one gives another run.
    others = [run(settled(values[0]), instances.select([b]), z[[b]], 8) for b in range(3)]
    assert not torch.allclose(together, torch.cat(others, dim=1), rtol=1e-3, atol=1e-5)


def permuted(instances: Instances, order: Tensor) -> Instances:
    """The same games with the coordinates of x, the rows of A, in another order."""
    theta = {**instances.theta, "A": instances.theta["A"][:, order]}
    if "P" in theta:
        theta["P"] = theta["P"][:, order][:, :, order]
    theta |= instances.problem.derived(theta)
    return Instances(instances.problem, theta, len(instances))


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, Monotone) for name in METHODS]
    + [(name, MatrixGame) for name in METHODS if name != "FollowTheRidge"],
)
def test_coordinates_are_interchangeable(name: str, kind: type) -> None:
    monotone = Monotone(4, 3, kept=1.0).sample(3, generator(0)).to(torch.double)
    instances = monotone if kind is Monotone else random_matrix_games(3, 4, 3)
    z = torch.rand(3, 7, generator=generator(0, "start")).double() - 0.5
    order = torch.tensor([2, 0, 3, 1])
    order_of_all = torch.cat((order, torch.arange(4, 7)))
    original = run(METHODS[name], instances, z, 5)
    shuffled = run(METHODS[name], permuted(instances, order), z[:, order_of_all], 5)
    torch.testing.assert_close(shuffled, original[..., order_of_all])


HOVERING = {name for name in METHODS if name.endswith("Adam")}
"""These circle at a radius of their step size, for which their own tests have references."""


@pytest.mark.parametrize("name", [name for name in METHODS if name not in HOVERING])
def test_solves_a_game_of_unequal_sizes(name: str) -> None:
    """f = ½‖x‖² + xᵀA y − ½‖y‖², m = 2, n = 3, entries of A in [0, 1]."""
    problem = Monotone(2, 3)
    matrix = torch.rand(10, 2, 3, generator=generator(0)).double()
    eyes = {key: torch.eye(size).double().expand(10, -1, -1) for key, size in (("P", 2), ("Q", 3))}
    instances = Instances(problem, {**eyes, "A": matrix}, 10)
    z = torch.rand(10, 5, generator=generator(0, "start")).double() - 0.5
    share = distance(instances, run(METHODS[name], instances, z, 400)[-1]) / distance(instances, z)
    assert (share < SLOW.get(name, 0.02)).all()

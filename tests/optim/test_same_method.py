"""A method on modules is the same method: as on the problem, ascending as descending, alone."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import l2o
from l2o import Iterate, optimizers, unroll
from l2o.io.seeds import generator
from l2o.optim import Minimax
from l2o.optimizers import GMRES, Adam, FollowTheRidge, Optimizer
from tests.optim.games import GAMES, METHODS, PROBLEMS, Parameters, X, Y, trajectory, value

on_every_game = pytest.mark.parametrize(("name", "game"), GAMES)
STEPS = dict.fromkeys([name for name in METHODS if "Halpern" in name], 3)
"""Fewer steps where each takes the Newton steps of a resolvent."""
every_method = pytest.mark.parametrize("name", METHODS)


def test_no_method_is_missing() -> None:
    classes = {thing for thing in vars(optimizers).values() if inspect.isclass(thing)}
    methods = {thing for thing in classes if issubclass(thing, Optimizer)}
    abstract = {Optimizer, optimizers.LearnedOptimizer, optimizers.HandDesigned}
    assert methods - abstract - {GMRES} == {type(method) for method in METHODS.values()}


def on_the_problem(method: Optimizer[Any], game: str, steps: int = 25) -> Tensor:
    instances = PROBLEMS[game]().sample(1, generator(0), dtype=torch.double)
    with torch.no_grad():
        found = unroll(method, instances, Iterate(X[None], Y[None]), steps)
    return torch.cat((found.x, found.y), dim=2)[:, 0]


@on_every_game
def test_on_closures_it_is_the_method_on_the_problem(name: str, game: str) -> None:
    """Bit for bit, with parameters of several shapes."""
    players = Parameters()
    opt = Minimax(players.groups(), METHODS[name])
    steps = STEPS.get(name, 10)
    found = trajectory(opt, players, players.closure(game), steps)
    expected = on_the_problem(METHODS[name], game, steps)
    # In Jᵀw of a general-sum game the order decides in which the costs' parts are added.
    exact = game == "zero-sum" or name not in ("SGAAdam", "ConsensusAdam")
    torch.testing.assert_close(found, expected, rtol=0, atol=0 if exact else 1e-15)
    assert not torch.equal(found[0], found[-1])


@pytest.mark.parametrize("name", [n for n in METHODS if n != "TwinL2O"])
def test_ascent_on_f_is_descent_on_minus_f(name: str) -> None:
    """Of one player alone, bit for bit. (TwinL2O has a network for each role.)"""
    method = METHODS[name]
    if isinstance(method, Adam):
        method = replace(method, critic_steps=1)
    elif isinstance(method, FollowTheRidge):
        method = replace(method, step_size=method.step_size_y)
    ends = []
    for role, sign in (("max", 1), ("min", -1)):
        y = Y.clone().requires_grad_()
        opt = Minimax([y], method, role=role)
        for _ in range(STEPS.get(name, 10)):
            opt.step(lambda y=y, sign=sign: l2o.zero_sum(sign * value(X, y)))
        ends.append(y.detach())
    assert torch.equal(*ends)
    assert value(X, ends[0]) > value(X, Y)


@on_every_game
def test_exchanged_players_and_costs_mirror_each_other(name: str, game: str) -> None:
    """min over y, max over x of −f is the same game, for methods that move both at once."""
    alternates = ("lternating", "NegativeMomentum", "KBeam", "CGD", "Ridge", "Lookahead", "Twin")
    if any(word in name for word in alternates):
        pytest.skip("moves one player before the other")
    players, mirrored = Parameters(), Parameters()
    opt = Minimax(players.groups(), METHODS[name])
    exchanged = [
        {"params": mirrored.y, "role": "min"},
        {"params": mirrored.x, "role": "max"},
    ]

    def closure() -> Any:
        stated = mirrored.closure(game)()
        return l2o.modules.Stated(stated.g, stated.f, stated.zero_sum)

    steps = STEPS.get(name, 10)
    found = trajectory(opt, players, players.closure(game), steps)
    other = trajectory(Minimax(exchanged, METHODS[name]), mirrored, closure, steps)
    torch.testing.assert_close(found, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["Adam, alternating", "LEADAdam", "SGA", "StructuredTwin"])
@pytest.mark.parametrize("game", PROBLEMS)
def test_micro_batches_are_the_joint_batch(name: str, game: str) -> None:
    """Whose cost is the mean of theirs."""
    shifts = torch.tensor([-0.3, 0.1, 0.5]).double()

    def costs(players: Parameters, shift: Tensor) -> Any:
        x, y = players.point
        shifted = Parameters.closure(players, game)()
        extra = (shift * torch.sin(x).sum() * y.sum()).mean()
        if game == "zero-sum":
            return l2o.zero_sum(shifted.f + extra)
        return l2o.general_sum(min=shifted.f + extra, max=shifted.g - 2 * extra)

    joint, split = Parameters(), Parameters()
    opt = Minimax(joint.groups(max_norm=1.0), METHODS[name])
    expected = trajectory(opt, joint, lambda: costs(joint, shifts), 10)
    opt = Minimax(split.groups(max_norm=1.0), METHODS[name])
    closures = [lambda shift=shift: costs(split, shift) for shift in shifts]
    torch.testing.assert_close(trajectory(opt, split, closures, 10), expected)


def test_the_costs_come_back() -> None:
    """Of the first evaluation, as scalars without a graph."""
    players = Parameters()
    before = value(*players.point)
    opt = Minimax(players.groups(), METHODS["ExtraAdam"])
    loss = opt.step(players.zero_sum)
    assert torch.equal(loss, before)
    assert loss.shape == ()
    assert not loss.requires_grad
    players = Parameters()
    costs = Minimax(players.groups(), METHODS["ExtraAdam"]).step(players.general_sum)
    assert costs.f == before
    assert costs.g.shape == ()
    x, y = players.point
    halves = [lambda: l2o.zero_sum(value(x, y)), lambda: l2o.zero_sum(value(x, y) + 2)]
    mean = Minimax(players.groups(), METHODS["GDA"]).step(halves[1:])
    torch.testing.assert_close(mean, value(x, y).detach() + 2)


@every_method
def test_gradients_of_users_are_left_alone(name: str) -> None:
    players = Parameters()
    value(*players.point).backward()
    before = [parameter.grad.clone() for parameter in (*players.x, *players.y)]
    opt = Minimax(players.groups(), METHODS[name])
    opt.step(players.zero_sum)
    after = [parameter.grad for parameter in (*players.x, *players.y)]
    assert all(map(torch.equal, before, after))
    opt.zero_grad()
    assert all(parameter.grad is None for parameter in (*players.x, *players.y))

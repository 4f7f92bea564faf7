"""Learned optimizers on modules: by name, in any type, held to constraints by the same rules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import l2o
from l2o import UserError, optim
from l2o.optim import Minimax
from l2o.optimizers import StructuredTwin, TwinL2O
from tests.optim.games import Parameters, value

NAME = "structured_twin/universal"


def gradient_norm(players: Parameters) -> float:
    f = value(*players.point)
    slopes = torch.autograd.grad(f, [*players.x, *players.y])
    return torch.cat([slope.flatten() for slope in slopes]).norm().item()


def test_the_one_that_comes_with_the_package_solves_the_game() -> None:
    """Double precision parameters; it computes in its own type."""
    players = Parameters()
    opt = optim.Learned(players.groups(), NAME)
    before = gradient_norm(players)
    for _ in range(150):
        opt.step(players.zero_sum)
    assert gradient_norm(players) < 1e-3 * before
    assert opt.param_groups[0]["lr"] == 1.0


def test_it_is_what_load_loads() -> None:
    players, plain = Parameters(), Parameters()
    opt = optim.Learned(players.groups(lr=0.5), NAME)
    reference = Minimax(plain.groups(lr=0.5), l2o.load(NAME))
    for _ in range(5):
        opt.step(players.zero_sum)
        reference.step(plain.zero_sum)
    assert torch.equal(players.z, plain.z)


def test_an_unknown_name() -> None:
    with pytest.raises(UserError, match="no such file"):
        optim.Learned(Parameters().groups(), "structured_twin/universe")


@pytest.mark.parametrize("method", [TwinL2O(hidden_size=4), StructuredTwin(hidden_size=4)])
def test_its_weights_are_not_trained(method: Any) -> None:
    """Nothing of the game's graph reaches them."""
    network, delta = nn.Linear(2, 1), nn.Parameter(torch.zeros(3, 2))
    groups = [{"params": network.parameters(), "role": "min"}, {"params": delta, "role": "max"}]
    opt = Minimax(groups, method)
    inputs = torch.randn(3, 2)

    def closure() -> Any:
        return l2o.zero_sum(network(inputs + delta).square().mean() - delta.square().mean())

    before = [p.detach().clone() for p in method.parameters()]
    for _ in range(3):
        opt.step(closure)
    assert all(map(torch.equal, before, method.parameters()))
    assert all(p.grad is None for p in method.parameters())
    assert all(not leaf.requires_grad for leaf in opt.state["minimax"]["memory"])


def test_schedulers_shorten_its_steps() -> None:
    players = Parameters()
    opt = optim.Learned(players.groups(), NAME)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(opt, 0.0)
    opt.step(players.zero_sum)
    scheduler.step()
    before = players.z
    opt.step(players.zero_sum)
    assert torch.equal(players.z, before)

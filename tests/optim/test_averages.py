"""Averages of the iterates and of buffers: their values, in place and put back, after loading."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import l2o
from l2o import optim
from l2o.optim import Minimax
from l2o.optimizers import GDA, Extragradient
from tests.optim.games import Parameters
from tests.optim.test_state import through_a_file


@pytest.mark.parametrize("average", ["uniform", 0.9, 0.0, 1.0])
def test_values_by_hand(average: Any) -> None:
    """Exponential with max(1/k, 1 − decay), so that the start has no weight of its own."""
    players = Parameters()
    opt = optim.Adam(players.groups(), lr=0.1, average=average)
    mean = torch.zeros(7).double()
    for k in range(1, 31):
        opt.step(players.zero_sum)
        share = 1 / k if average == "uniform" else max(1 / k, 1 - average)
        mean = mean + share * (players.z - mean)
    last = players.z
    with opt.averaged():
        torch.testing.assert_close(players.z, mean)
    assert torch.equal(players.z, last)


def test_an_error_inside_puts_everything_back() -> None:
    players = Parameters()
    opt = optim.Adam(players.groups(), lr=0.1, average="uniform")
    for _ in range(2):
        opt.step(players.zero_sum)
    last = players.z
    with pytest.raises(ZeroDivisionError), opt.averaged():
        raise ZeroDivisionError
    assert torch.equal(players.z, last)


def test_the_average_of_a_bilinear_game_is_its_solution() -> None:
    """Descent-ascent circles around it, further and further."""
    x, y = (torch.ones(1).double().requires_grad_() for _ in range(2))
    groups = [{"params": x, "role": "min"}, {"params": y, "role": "max"}]
    opt = Minimax(groups, GDA(0.01), average="uniform")
    for _ in range(20 * 628):
        opt.step(lambda: l2o.zero_sum((x * y).sum()))
        if torch.hypot(x, y) > 3:
            break
    with opt.averaged():
        assert torch.hypot(x, y) < 0.1
    assert torch.hypot(x, y) > 1.4


class Networks(nn.Module):
    """Two networks with batch norm, one of them not affine, and one buffer of whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        layers = nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 2)
        self.generator = nn.Sequential(*layers)
        self.critic = nn.Sequential(nn.BatchNorm1d(2, affine=False), nn.Linear(2, 1))

    def optimizer(self, **settings: Any) -> Minimax:
        groups = [
            {"params": self.generator.parameters(), "role": "min", "lr": 0.1},
            {"params": self.critic.parameters(), "role": "max", "lr": 0.1},
        ]
        return Minimax(groups, Extragradient(), **settings)

    def closure(self) -> Any:
        score = self.critic(self.generator(torch.randn(8, 2)))
        return l2o.zero_sum(score.mean() - 0.1 * self.critic[1].weight.square().sum())


def test_buffers_are_averaged_whole_numbers_are_not() -> None:
    networks = Networks()
    opt = networks.optimizer(average="uniform")
    sums: dict[str, Tensor] = {}
    for _ in range(4):
        opt.step(networks.closure)
        for name, value in networks.state_dict().items():
            sums[name] = sums.get(name, 0) + value
    with opt.averaged():
        for name, value in networks.state_dict().items():
            expected = torch.tensor(4) if "num_batches" in name else sums[name] / 4
            torch.testing.assert_close(value, expected)


def test_they_are_there_at_once_in_another_process() -> None:
    """Before any step, and although one network is built, and held by a module, the other way."""

    class Other(nn.Module):
        def __init__(self, networks: Networks) -> None:
            super().__init__()
            self.first, self.second = networks.critic, networks.generator

    networks = Networks()
    opt = networks.optimizer(average=0.5)
    for _ in range(3):
        opt.step(networks.closure)
    saved, weights = through_a_file(opt.state_dict()), copy.deepcopy(networks.state_dict())
    again = Networks()
    again.load_state_dict(weights)
    holder = Other(again)
    loaded = again.optimizer(average=0.5)
    loaded.load_state_dict(saved)
    with opt.averaged(), loaded.averaged():
        expected = networks.state_dict()
        assert all(torch.equal(expected[k], value) for k, value in again.state_dict().items())
    assert all(torch.equal(weights[k], value) for k, value in again.state_dict().items())
    assert holder.first is again.critic


def test_new_parameters_and_moved_modules_join() -> None:
    """A new group's average begins where it begins; `module.double()` replaces the buffers."""
    networks = Networks()
    opt = networks.optimizer(average="uniform")
    opt.step(networks.closure)
    new = nn.Parameter(torch.tensor([3.0]))
    opt.add_param_group({"params": new, "role": "max", "lr": 0.0})
    for buffers in (networks.generator[1], networks.critic[0]):
        buffers.running_mean = buffers.running_mean.clone()
    opt.step(lambda: l2o.zero_sum(networks.closure().f + (new * 0.0).sum()))
    last = networks.generator[1].running_mean.clone()
    with opt.averaged():
        assert new.item() == 3.0
        assert not torch.equal(networks.generator[1].running_mean, last)
    assert torch.equal(networks.generator[1].running_mean, last)

"""State: saved and loaded without executing code, gone on with bit for bit, for more parameters."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import l2o
from l2o import optim
from l2o.optim import Minimax
from l2o.optimizers import Adam, HalpernSafeguard, LEADAdam, Lookahead, StructuredTwin
from tests.optim.games import GAMES, METHODS, Parameters, trajectory, value

every_method = pytest.mark.parametrize("name", METHODS)


def through_a_file(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(("name", "game"), GAMES)
def test_resumed_is_never_stopped(name: str, game: str) -> None:
    """Bit for bit, after any of the first steps."""
    players = Parameters()
    opt = Minimax(players.groups(lr=0.05, max_norm=2.0), METHODS[name], average=0.9)
    steps = 3 if "Halpern" in name else 7
    points, saved = [players.z], []
    for _ in range(steps):
        saved.append(through_a_file(opt.state_dict()))
        opt.step(players.closure(game))
        points.append(players.z)
    for begun in (0, 1, 2):
        again = Parameters(points[begun][:4], points[begun][4:])
        other = Minimax(again.groups(lr=9.0), METHODS[name], average=0.9)
        other.load_state_dict(saved[begun])
        found = trajectory(other, again, again.closure(game), steps - begun)
        assert torch.equal(found, torch.stack(points[begun:]))
        with opt.averaged(), other.averaged():
            assert torch.equal(players.z, again.z) or begun == 0


def test_all_that_is_needed_is_in_the_state() -> None:
    """Numbers, words and tensors; constraints, which may be functions, stay in the code."""
    players = Parameters()
    groups = players.groups()
    groups[1]["constraint"] = lambda z: z.clamp(max=0.4)
    opt = optim.ExtraAdam(groups, lr=0.1, betas=(0.5, 0.9))
    opt.step(players.zero_sum)
    saved = through_a_file(opt.state_dict())
    assert set(saved) == {"state", "param_groups"}
    assert saved["param_groups"][0]["betas"] == (0.5, 0.9)
    again = Parameters(players.z[:4], players.z[4:])
    groups = again.groups()
    groups[1]["constraint"] = lambda z: z.clamp(max=0.4)
    other = optim.ExtraAdam(groups)
    other.load_state_dict(saved)
    for _ in range(5):
        opt.step(players.zero_sum)
        other.step(again.zero_sum)
    assert torch.equal(players.z, again.z)
    assert again.z[4:].max() <= 0.4


def test_a_loaded_state_is_ones_own() -> None:
    """Neither optimizer changes the other's, nor the dictionary."""
    players = Parameters()
    opt = optim.Adam(players.groups(), average="uniform")
    opt.step(players.zero_sum)
    saved = opt.state_dict()
    before = copy.deepcopy(saved)
    again = Parameters()
    other = optim.Adam(again.groups(), average="uniform")
    other.load_state_dict(saved)
    for _ in range(3):
        other.step(again.zero_sum)
    for mine, theirs in zip(leaves(before), leaves(saved), strict=True):
        assert torch.equal(mine, theirs)


def leaves(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [leaf for part in parts for leaf in leaves(part)]


@pytest.mark.parametrize("scheduler", [torch.optim.lr_scheduler.ExponentialLR])
def test_schedulers_resume_with_it(scheduler: Any) -> None:
    players = Parameters()
    opt = optim.Adam(players.groups())
    rates = scheduler(opt, 0.5)
    opt.step(players.zero_sum)
    rates.step()
    again = Parameters(players.z[:4], players.z[4:])
    other = optim.Adam(again.groups())
    resumed = scheduler(other, 0.5)
    other.load_state_dict(through_a_file(opt.state_dict()))
    resumed.load_state_dict(through_a_file(rates.state_dict()))
    for _ in range(3):
        for one, schedule, p in ((opt, rates, players), (other, resumed, again)):
            one.step(p.zero_sum)
            schedule.step()
    assert torch.equal(players.z, again.z)
    assert other.param_groups[0]["lr"] == 1e-3 * 0.5**4


BY_COORDINATE = ["Adam", "Adam, alternating", "SGD", "ExtraAdam", "PastExtraAdam", "LEADAdam"]
BY_COORDINATE += ["SGAAdam", "ACGD", "GDA", "OGDA", "LEAD", "NegativeMomentum"]


@pytest.mark.parametrize("name", BY_COORDINATE)
@pytest.mark.parametrize("role", ["min", "max"])
def test_a_group_added_in_the_middle(name: str, role: str) -> None:
    """Old parameters go on as they would, new ones as they would alone: their costs do not meet."""
    players, plain = Parameters(), Parameters()
    new, alone = (torch.tensor([0.5, 0.2]).double().requires_grad_() for _ in range(2))
    sign = 1 if role == "min" else -1
    opt, reference = (Minimax(p.groups(), METHODS[name]) for p in (players, plain))
    of_new = Minimax([alone], METHODS[name], role=role)
    for _ in range(3):
        opt.step(players.zero_sum)
        reference.step(plain.zero_sum)
    opt.add_param_group({"params": new, "role": role})
    newest = torch.zeros(1).double()

    def joint() -> Any:
        return l2o.zero_sum(value(*players.point) + sign * (new**4).sum() + newest)

    for step in range(6):
        opt.step(joint)
        reference.step(plain.zero_sum)
        of_new.step(lambda: l2o.zero_sum(sign * (alone**4).sum()))
        if step == 2:  # and once more, with parameters of three ages
            newest = torch.ones(1).double().requires_grad_()
            opt.add_param_group({"params": newest, "role": "min"})
    torch.testing.assert_close(players.z, plain.z, rtol=0, atol=1e-14)
    torch.testing.assert_close(new.detach(), alone.detach(), rtol=0, atol=1e-14)


@every_method
def test_any_method_takes_a_new_group(name: str) -> None:
    """Those whose memory has no coordinates to keep begin anew."""
    players = Parameters()
    opt = Minimax(players.groups(), METHODS[name])
    opt.step(players.zero_sum)
    new = torch.tensor([0.5, 0.2]).double().requires_grad_()
    opt.add_param_group({"params": new, "role": "max"})
    for _ in range(2):
        opt.step(lambda: l2o.zero_sum(value(*players.point) - 0.2 * (new + 1).square().sum()))
    assert not torch.equal(new.detach(), torch.tensor([0.5, 0.2]).double())
    again = Minimax([*players.groups(), {"params": new, "role": "max"}], METHODS[name])
    again.load_state_dict(through_a_file(opt.state_dict()))


@pytest.mark.parametrize("name", ["Adam", "LEADAdam", "OptimisticAdam", "Lookahead", "TwinL2O"])
def test_frozen_for_a_while(name: str) -> None:
    """One parameter of x stays where it is, the others' memory goes on."""
    players = Parameters()
    opt = Minimax(players.groups(), METHODS[name])
    for _ in range(2):
        opt.step(players.zero_sum)
    before = players.z
    players.x[0].requires_grad_(False)
    opt.step(players.zero_sum)
    assert players.z[0] == before[0]
    assert (players.z[1:] != before[1:]).all()
    kept = opt.state_dict()["state"]["minimax"]["memory"]
    players.x[0].requires_grad_(True)
    opt.step(players.zero_sum)
    assert players.z[0] != before[0]
    assert any(4 in leaf.shape or 7 in leaf.shape for leaf in leaves(opt.state_dict()["state"]))
    assert not any(4 in leaf.shape or 7 in leaf.shape for leaf in kept)


def test_frozen_and_swapped() -> None:
    """Of the same sizes before and after, but not the same parameters: Adam on each by itself."""
    a, b = (torch.ones(2).double().requires_grad_() for _ in range(2))
    opt = optim.SGD([a, b.requires_grad_(False)], lr=0.1, momentum=0.5, role="min")
    opt.step(lambda: l2o.zero_sum(a.sum()))
    a.requires_grad_(False)
    b.requires_grad_(True)
    opt.step(lambda: l2o.zero_sum(0 * b.sum()))
    assert torch.equal(b.detach(), torch.ones(2).double()), "b has a's velocity"


@pytest.mark.parametrize(
    "method",
    [
        Lookahead(LEADAdam(), period=2),
        HalpernSafeguard(Adam(), step_size=0.1),
        HalpernSafeguard(StructuredTwin(hidden_size=4)),
    ],
)
def test_networks_resume(method: Any) -> None:
    """In single precision, with batch norm and dropout, through files of everything."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.2), nn.Linear(2, 1))
    other = nn.Parameter(torch.randn(4, 2))
    inputs = torch.randn(4, 2)

    def run(modules: Any, opt: Minimax, seed: int) -> None:
        torch.manual_seed(seed)
        net, delta = modules
        opt.step(lambda: l2o.zero_sum(net(inputs + delta).square().mean() - delta.square().mean()))

    def make(modules: Any) -> Minimax:
        net, delta = modules
        groups = [{"params": net.parameters(), "role": "min"}, {"params": delta, "role": "max"}]
        return Minimax(groups, method, average="uniform")

    modules = network, other
    opt = make(modules)
    for seed in range(2):
        run(modules, opt, seed)
    again = copy.deepcopy(modules)
    resumed = make(again)
    resumed.load_state_dict(through_a_file(opt.state_dict()))
    run(modules, opt, 2)
    run(again, resumed, 2)
    for mine, theirs in zip(
        network.state_dict().values(), again[0].state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs)
    with opt.averaged(), resumed.averaged():
        mine, theirs = network.state_dict(), again[0].state_dict()
        assert all(map(torch.equal, mine.values(), theirs.values()))

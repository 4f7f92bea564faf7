"""Each mistake gets one line that says what to do, and leaves everything as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

import l2o
from l2o import UserError, optim, optimizers
from l2o.optim import Minimax
from l2o.optimizers import GDA, GMRES, SGA, Anderson, Consensus, FollowTheRidge
from tests.optim.games import METHODS, ZERO_SUM, Parameters, value

PLAYERS = Parameters()


class Once(torch.autograd.Function):
    """A square that can be differentiated once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return 2 * slope * ctx.saved_tensors[0]


def refused(expected: str, run: Callable[[], object]) -> None:
    """One line with these words."""
    with pytest.raises(UserError) as caught:
        run()
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


GROUPS: dict[str, tuple[Any, str]] = {
    "no role": ([{"params": PLAYERS.x}], 'role: expected "min" or "max"'),
    "another role": ([{"params": PLAYERS.x, "role": "generator"}], 'role: expected "min" or "max"'),
    "no parameter of a role": (
        [{"params": PLAYERS.x, "role": "min"}, {"params": iter(()), "role": "max"}],
        "params: the group with role 'max' has no parameters",
    ),
    "a parameter in both roles": (
        [{"params": PLAYERS.x, "role": "min"}, {"params": PLAYERS.x[:1], "role": "max"}],
        "params: a parameter is in two groups",
    ),
    "a parameter twice": (
        [{"params": [PLAYERS.x[0]] * 2, "role": "min"}],
        "params: a parameter is twice",
    ),
    "whole numbers": (
        [{"params": [torch.ones(2).cfloat()], "role": "min"}],
        "params: expected real",
    ),
    "frozen": (
        [{"params": [torch.ones(2)], "role": "min"}],
        "params: expected parameters that require",
    ),
    "a typo": (PLAYERS.groups(weight_decy=0.1), "group: no option 'weight_decy' for Adam"),
    "lr": (PLAYERS.groups(lr=-1), "lr: expected a finite number of at least 0, got -1"),
    "betas": (PLAYERS.groups(betas=0.9), "betas: expected a pair"),
    "beta1": (PLAYERS.groups(betas=(1.0, 0.9)), "betas[0]: expected a number between -1 and 1"),
    "beta2": (
        PLAYERS.groups(betas=(0.9, 1.0)),
        "betas[1]: expected a number of at least 0 and below 1",
    ),
    "eps": (PLAYERS.groups(eps=-1e-8), "eps: expected a finite number of at least 0"),
    "max_norm": (PLAYERS.groups(max_norm=0), "max_norm: expected a number above 0"),
    "weight_decay": (PLAYERS.groups(weight_decay=-1), "weight_decay: expected a finite number"),
    "constraint": (
        PLAYERS.groups(constraint="positive"),
        'constraint: expected "nonneg", "simplex"',
    ),
    "box": (PLAYERS.groups(constraint=("box", 1, 0)), "constraint: the range [1, 0] is reversed"),
}


@pytest.mark.parametrize("name", GROUPS)
def test_groups(name: str) -> None:
    groups, expected = GROUPS[name]
    refused(expected, lambda: optim.Adam(groups))


SETTINGS: dict[str, tuple[Callable[[], object], str]] = {
    "method": (
        lambda: Minimax(PLAYERS.x, torch.optim.Adam, role="min"),
        "method: expected an optimizer",
    ),
    "foreach": (
        lambda: optim.Adam(PLAYERS.x, role="min", foreach=True),
        "group: no option 'foreach'",
    ),
    "betas of SGD": (
        lambda: optim.SGD(PLAYERS.groups(betas=(0, 0))),
        "group: no option 'betas' for SGD",
    ),
    "lr": (lambda: optim.Adam(PLAYERS.groups(), lr=-1), "lr: expected a finite number"),
    "momentum": (
        lambda: optim.SGD(PLAYERS.groups(), momentum=1),
        "momentum: expected a number between",
    ),
    "critic_steps": (
        lambda: optim.Adam(PLAYERS.groups(), critic_steps=2),
        "critic_steps: expected 1, or alternating=true, got 2",
    ),
    "average": (
        lambda: optim.Adam(PLAYERS.groups(), average=2),
        "average: expected a finite number",
    ),
    "buffers": (
        lambda: optim.Adam(PLAYERS.groups(), buffers="none"),
        "buffers: expected one of first",
    ),
    "replay": (lambda: optim.Adam(PLAYERS.groups(), replay=1), "replay: expected true or false"),
    "scaler": (
        lambda: optim.Adam(PLAYERS.groups(), scaler=2.0),
        "scaler: expected a torch.amp.GradScaler",
    ),
    "one step size": (
        lambda: Minimax([{**g, "lr": i} for i, g in enumerate(PLAYERS.groups())], optimizers.CGD()),
        "lr: CGD has one for all groups, got several",
    ),
    "general_sum": (l2o.general_sum, "general_sum: expected min=COST, max=COST or both"),
    "zero_sum": (lambda: l2o.zero_sum(1.0), "zero_sum: expected a tensor, got 1.0"),
    "averaged": (
        lambda: optim.Adam(PLAYERS.groups(), average=0.9).averaged().__enter__(),
        "averaged: expected an optimizer with average=DECAY",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name: str) -> None:
    make, expected = SETTINGS[name]
    refused(expected, make)


def argmax(p: Parameters) -> Any:
    return l2o.zero_sum(p.point.x.argmax() * 1.0)


def disconnected(p: Parameters) -> Any:
    """y is chosen by argmax: f has a graph, but none that leads to y."""
    x, y = p.point
    return l2o.zero_sum((x * torch.nn.functional.one_hot(y.argmax(), 4)).sum())


def backward(p: Parameters) -> Any:
    f = value(*p.point)
    f.backward()
    return l2o.zero_sum(f)


def without_backward(p: Parameters) -> Any:
    return value(*p.point)


def outside(p: Parameters) -> Callable[[], Any]:
    f = value(*p.point)
    return lambda: l2o.zero_sum(f)


CLOSURES: dict[str, tuple[Any, Callable[[Parameters], Any], str]] = {
    "argmax": (GDA(), argmax, "closure: the cost of the min player has no graph"),
    "a player disconnected": (GDA(), disconnected, "the cost of the max player depends on none"),
    "detached": (
        GDA(),
        lambda p: l2o.general_sum(min=value(*p.point), max=value(*p.point).detach()),
        "closure: the cost of the max player has no graph",
    ),
    "wrong role": (
        GDA(),
        lambda p: l2o.general_sum(min=value(*p.point), max=p.x[0].sum()),
        "the cost of the max player depends on none of its parameters",
    ),
    "a player left out": (
        GDA(),
        lambda p: l2o.general_sum(min=value(*p.point)),
        "general_sum: expected max=COST for the max player",
    ),
    "not a scalar": (
        GDA(),
        lambda p: l2o.zero_sum(value(*p.point).expand(3)),
        "expected a scalar cost of the min player, got shape (3,)",
    ),
    "NaN": (
        GDA(),
        lambda p: l2o.zero_sum(value(*p.point) * torch.nan),
        "of the min player, got nan",
    ),
    "NaN of one": (
        GDA(),
        lambda p: l2o.general_sum(min=value(*p.point), max=-value(*p.point) / 0),
        "expected a finite cost of the max player",
    ),
    "NaN in a gradient": (
        GDA(),
        lambda p: l2o.zero_sum(value(*p.point) + (p.y[1] - p.y[1].detach()).abs().sqrt().sum()),
        "the gradient of the max player is not finite",
    ),
    "NaN of a product": (
        Consensus(),
        lambda p: l2o.zero_sum(value(*p.point) + (p.y[1] - p.y[1].detach()).abs() ** 1.5),
        "Consensus would have moved the parameters to where they are not finite",
    ),
    "nothing": (GDA(), lambda p: None, "closure: expected l2o.zero_sum(value)"),
    "a number": (GDA(), lambda p: 1.0, "closure: expected l2o.zero_sum(value)"),
    "backward, and costs": (
        GDA(),
        backward,
        "part of its graph is gone, since backward was called",
    ),
    "a tensor without backward": (GDA(), without_backward, "gave no parameter a gradient"),
    "NumPy": (
        GDA(),
        lambda p: l2o.zero_sum(torch.tensor(np.sin(p.y[1].item()))),
        "closure: the cost of the min player has no graph",
    ),
    "once differentiable": (
        SGA(),
        lambda p: l2o.zero_sum(value(*p.point) + Once.apply(p.x[0] * p.y[1]).sum()),
        "this method needs second derivatives, which a layer or a compiled module lacks",
    ),
    "linear in y": (
        FollowTheRidge(),
        lambda p: l2o.zero_sum(value(*p.point) + 0.2 * p.point.y.square().sum()),
        "Follow-the-Ridge: expected an invertible",
    ),
    "GMRES": (GMRES(), lambda p: p.zero_sum(), "GMRES: expected a game whose field is affine"),
}


@pytest.mark.parametrize("name", CLOSURES)
def test_closures(name: str) -> None:
    method, closure, expected = CLOSURES[name]
    players = Parameters()
    opt, before = Minimax(players.groups(), method), players.z
    refused(expected, lambda: opt.step(lambda: closure(players)))
    assert torch.equal(players.z, before)
    assert not opt.state


def test_a_game_of_another_kind() -> None:
    """In a micro-batch, or later on."""
    players = Parameters()
    opt = optim.Adam(players.groups())
    expected = "closure: expected the kind of costs of before in every call"
    refused(expected, lambda: opt.step([players.zero_sum, players.general_sum]))
    opt.step(players.general_sum)
    refused(expected, lambda: opt.step(players.zero_sum))


@pytest.mark.parametrize("name", sorted(ZERO_SUM))
def test_methods_for_zero_sum_games(name: str) -> None:
    players = Parameters()
    opt = Minimax(players.groups(), METHODS[name])
    refused("expected a zero-sum game", lambda: opt.step(players.general_sum))
    wrapped = Minimax(players.groups(), Anderson(METHODS[name]))
    refused("expected a zero-sum game", lambda: wrapped.step(players.general_sum))


@pytest.mark.parametrize("name", ["LEAD", "SGAAdam", "ACGD", "Lookahead, LEADAdam"])
def test_second_derivatives_need_costs(name: str) -> None:
    """A tensor after backward, as in PyTorch's own convention, has none."""
    players = Parameters()

    def closure() -> Tensor:
        opt.zero_grad()
        f = value(*players.point)
        f.backward()
        return f

    opt = Minimax(players.groups(), METHODS[name])
    refused(
        "this method needs second derivatives, and so the costs before backward",
        lambda: opt.step(closure),
    )


def test_a_stale_gradient_is_no_backward() -> None:
    """What another optimizer left in `.grad` is not taken for the closure's."""
    players = Parameters()
    value(*players.point).backward()
    opt = optim.Adam(players.groups())
    refused("gave no parameter a gradient", lambda: opt.step(lambda: value(*players.point)))


def test_what_was_computed_outside() -> None:
    """Its graph is gone after the first step, or no longer what it was."""
    players = Parameters()
    opt = optim.Adam(players.groups())
    closure, scale = outside(players), players.x[0] ** 2
    opt.step(closure)
    refused("part of its graph is gone", lambda: opt.step(closure))
    refused(
        "something that was computed outside of it",
        lambda: opt.step(lambda: l2o.zero_sum(value(*players.point) * scale)),
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_failure_in_the_middle_changes_nothing(name: str) -> None:
    """In the first evaluation of the fourth step, or in its last one."""
    players = Parameters()
    opt = Minimax(players.groups(), METHODS[name])
    call, broken = 0, 0

    def closure() -> Any:
        nonlocal call
        call += 1
        return l2o.zero_sum(value(*players.point) * (torch.nan if call == broken else 1))

    for _ in range(3):
        call = 0
        opt.step(closure)
    before, state = players.z, opt.state_dict()["state"]["minimax"]
    for broken in (1, call):  # noqa: B007
        call = 0
        refused("expected a finite cost", lambda: opt.step(closure))
        assert torch.equal(players.z, before)
        assert opt.state_dict()["state"]["minimax"] is state
    broken = 0
    opt.step(closure)
    again = Parameters()
    opt = Minimax(again.groups(), METHODS[name])
    for _ in range(4):
        opt.step(again.zero_sum)
    assert torch.equal(players.z, again.z)


@pytest.mark.parametrize("buffers", ["first", "last", "all"])
def test_a_failure_leaves_batch_norm_alone(buffers: str) -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    opt = optim.ExtraAdam(network.parameters(), role="min", buffers=buffers)
    opt.step(lambda: l2o.zero_sum(network(torch.randn(8, 2)).mean()))
    before = [buffer.clone() for buffer in network.buffers()]
    broken = torch.full((8, 2), torch.nan)
    refused("got nan", lambda: opt.step(lambda: l2o.zero_sum(network(broken).mean())))
    assert all(map(torch.equal, before, network.buffers()))


@pytest.mark.parametrize("closure", [None, [], "f", [None]])
def test_no_closure(closure: Any) -> None:
    opt = optim.Adam(PLAYERS.groups())
    refused("step: expected a closure that returns the costs", lambda: opt.step(closure))


def test_a_group_that_is_refused_later_is_not_added() -> None:
    players = Parameters()
    opt = optim.Adam(players.groups())
    new = torch.ones(2).requires_grad_()
    refused("lr:", lambda: opt.add_param_group({"params": new, "role": "min", "lr": -1.0}))
    refused("role:", lambda: opt.add_param_group({"params": new}))
    assert len(opt.param_groups) == 2
    opt.add_param_group({"params": new, "role": "min"})

"""What groups may say: learning rates and schedulers, decay, norms, constraints, types."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

import l2o
from l2o import optim
from l2o.optim import Minimax
from l2o.optimizers import CGD, OGDA, Extragradient, FollowTheRidge, Lookahead
from l2o.optimizers import Adam as AdamMethod
from tests.optim.games import METHODS, ZERO_SUM, Parameters, trajectory, value
from tests.optim.references import Dense

ADAM = {"lr": 0.05, "betas": (0.5, 0.9)}


def two_adams(players: Parameters, steps: int, alternating: bool, **settings: Any) -> Tensor:
    """Two optimizers of PyTorch on one game, by hand; max by `maximize`."""
    of_x = torch.optim.AdamW(players.x, **{**ADAM, **settings})
    of_y = torch.optim.AdamW(players.y, **{**ADAM, **settings}, maximize=True)
    points = [players.z]
    for _ in range(steps):
        for group in ((of_y,), (of_x,)) if alternating else ((of_y, of_x),):
            of_x.zero_grad()
            of_y.zero_grad()
            value(*players.point).backward()
            for one in group:
                one.step()
        points.append(players.z)
    return torch.stack(points)


@pytest.mark.parametrize("alternating", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_with_decay_is_two_adamw(alternating: bool, weight_decay: float) -> None:
    """Alternating, x sees the decayed y; decay is towards zero for both roles."""
    expected = two_adams(Parameters(), 20, alternating, weight_decay=weight_decay)
    players = Parameters()
    opt = optim.Adam(players.groups(), **ADAM, weight_decay=weight_decay, alternating=alternating)
    found = trajectory(opt, players, players.zero_sum, 20)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "name", ["GDA", "OGDA", "LEAD", "SGA", "Consensus", "CGD", "SGD", "OptimisticAdam", "ACGD"]
)
def test_decay_takes_its_share_of_every_step(name: str) -> None:
    """z⁺ = (the method's z⁺) − lr·λ·z."""
    players, plain = Parameters(), Parameters()
    opt = Minimax(plain.groups(), METHODS[name])
    opt.step(plain.zero_sum)
    Minimax(players.groups(weight_decay=0.1), METHODS[name]).step(players.zero_sum)
    decay = 0.1 * opt.param_groups[0]["lr"] * Parameters().z
    torch.testing.assert_close(players.z, plain.z - decay, rtol=0, atol=1e-14)


def test_half_steps_decay_as_well() -> None:
    """Extragradient: z⁺ = z − ηG(z − ηG(z) − ηλz) − ηλz."""
    players, game = Parameters(), Dense("zero-sum")
    z = players.z
    Minimax(players.groups(weight_decay=0.5), Extragradient(0.1)).step(players.zero_sum)
    half = z - 0.1 * game.field(z) - 0.05 * z
    expected = z - 0.1 * game.field(half) - 0.05 * z
    torch.testing.assert_close(players.z, expected, rtol=0, atol=1e-14)


def test_every_group_has_its_own_options() -> None:
    """A group for each parameter, as one optimizer of PyTorch has it."""
    settings = [
        {"lr": 0.05, "betas": (0.5, 0.9), "eps": 1e-8},
        {"lr": 0.02, "betas": (0.9, 0.99), "eps": 1e-3},
        {"lr": 0.01, "betas": (0.0, 0.5), "eps": 1e-8},
        {"lr": 0.0, "betas": (0.5, 0.9), "eps": 1e-2},
    ]
    players, plain = Parameters(), Parameters()
    roles = ("min", "min", "max", "max")

    def groups(p: Parameters) -> list[dict[str, Any]]:
        return [
            {"params": [parameter], **s}
            for parameter, s in zip((*p.x, *p.y), settings, strict=True)
        ]

    mine = [{**group, "role": role} for group, role in zip(groups(players), roles, strict=True)]
    opt = optim.Adam(mine)
    theirs = [
        {**group, "maximize": role == "max"}
        for group, role in zip(groups(plain), roles, strict=True)
    ]
    reference = torch.optim.Adam(theirs)
    for _ in range(10):
        opt.step(players.zero_sum)
        reference.zero_grad()
        value(*plain.point).backward()
        reference.step()
    torch.testing.assert_close(players.z, plain.z, rtol=0, atol=1e-12)


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "LambdaLR": lambda opt: lr_scheduler.LambdaLR(opt, lambda step: step / 5),
    "StepLR": lambda opt: lr_scheduler.StepLR(opt, 3),
    "MultiStepLR": lambda opt: lr_scheduler.MultiStepLR(opt, [2, 5]),
    "LinearLR": lambda opt: lr_scheduler.LinearLR(opt, 0.1, total_iters=4),
    "ExponentialLR": lambda opt: lr_scheduler.ExponentialLR(opt, 0.9),
    "CosineAnnealingLR": lambda opt: lr_scheduler.CosineAnnealingLR(opt, 6),
    "CosineAnnealingWarmRestarts": lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, 3),
    "PolynomialLR": lambda opt: lr_scheduler.PolynomialLR(opt, 8),
    "OneCycleLR": lambda opt: lr_scheduler.OneCycleLR(opt, 0.1, total_steps=10),
    "CyclicLR": lambda opt: lr_scheduler.CyclicLR(opt, 0.01, 0.1, 3),
    "SequentialLR": lambda opt: lr_scheduler.SequentialLR(
        opt, [lr_scheduler.ConstantLR(opt, 0.1), lr_scheduler.ExponentialLR(opt, 0.9)], [4]
    ),
    "ReduceLROnPlateau": lambda opt: lr_scheduler.ReduceLROnPlateau(opt, patience=0),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_do_what_they_do_to_adam(name: str) -> None:
    """Learning rates and momenta, from zero or down to it."""
    players, plain = Parameters(), Parameters()
    opt = optim.Adam(players.groups(), **ADAM)
    reference = torch.optim.Adam(
        [{"params": plain.x}, {"params": plain.y, "maximize": True}], **ADAM
    )
    mine, theirs = SCHEDULERS[name](opt), SCHEDULERS[name](reference)
    rates = set()
    for step in range(8):
        opt.step(players.zero_sum)
        reference.zero_grad()
        value(*plain.point).backward()
        reference.step()
        for scheduler in (mine, theirs):
            scheduler.step(*([float(step)] if name == "ReduceLROnPlateau" else []))
        rates.add(opt.param_groups[0]["lr"])
        assert opt.param_groups[0]["betas"] == reference.param_groups[0]["betas"]
    torch.testing.assert_close(players.z, plain.z, rtol=0, atol=1e-12)
    assert len(rates) > 1


def test_one_cycle_of_momentum() -> None:
    players = Parameters()
    opt = optim.SGD(players.groups(), momentum=0.9)
    scheduler = lr_scheduler.OneCycleLR(opt, 0.1, total_steps=10)
    opt.step(players.zero_sum)
    scheduler.step()
    assert opt.param_groups[1]["momentum"] < 0.95
    plain = Minimax(players.groups(), CGD())
    with pytest.raises(ValueError, match="must support momentum"):
        lr_scheduler.OneCycleLR(plain, 0.1, total_steps=10)


def test_a_rate_in_a_tensor() -> None:
    ends = []
    for lr in (0.05, torch.tensor(0.05, dtype=torch.double)):
        players = Parameters()
        opt = optim.Adam(players.groups(), lr=lr)
        lr_scheduler.ExponentialLR(opt, 0.5)
        ends.append(trajectory(opt, players, players.zero_sum, 3))
    torch.testing.assert_close(*ends, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("method", "factor"),
    [(OGDA(0.1), False), (METHODS["TwinL2O"], True), (FollowTheRidge(0.1, 0.2), True)],
)
def test_lr_is_the_step_size_or_a_factor(method: Any, factor: bool) -> None:
    """Of one step from the start; without a step size of its own the method's step is halved."""
    moves = []
    for lr in (1.0, 0.5) if factor else (0.1, 0.05):
        players = Parameters()
        opt = Minimax(players.groups(lr=lr), method)
        moves.append(trajectory(opt, players, players.zero_sum, 1).diff(dim=0)[0])
    torch.testing.assert_close(moves[0], 2 * moves[1])
    assert Minimax(players.groups(), method).param_groups[0]["lr"] == (1.0 if factor else 0.1)


def test_the_options_of_what_is_wrapped() -> None:
    """Lookahead's groups have the hyperparameters of the Adam inside."""
    players, plain = Parameters(), Parameters()
    method = Lookahead(AdamMethod(alternating=True), period=3)
    opt = Minimax(players.groups(), method, **ADAM)
    expected = trajectory(
        Minimax(plain.groups(), Lookahead(AdamMethod(0.05, 0.5, 0.9, alternating=True), period=3)),
        plain,
        plain.zero_sum,
        7,
    )
    assert torch.equal(trajectory(opt, players, players.zero_sum, 7), expected)


@pytest.mark.parametrize("per_group", [False, True])
def test_max_norm_is_that_of_clip_grad_norm(per_group: bool) -> None:
    """Of each group's gradient, at every evaluation."""
    players, plain = Parameters(), Parameters()
    parts = [[p] for p in (*players.x, *players.y)] if per_group else [players.x, players.y]
    roles = ["min", "min", "max", "max"] if per_group else ["min", "max"]
    groups = [{"params": part, "role": role} for part, role in zip(parts, roles, strict=True)]
    opt = optim.SGD(groups, lr=0.1, max_norm=0.2)
    reference = torch.optim.SGD(
        [{"params": plain.x}, {"params": plain.y, "maximize": True}], lr=0.1
    )
    for _ in range(5):
        opt.step(players.zero_sum)
        reference.zero_grad()
        value(*plain.point).backward()
        clipped = [[p] for p in (*plain.x, *plain.y)] if per_group else [plain.x, plain.y]
        for part in clipped:
            nn.utils.clip_grad_norm_(part, 0.2)
        reference.step()
    torch.testing.assert_close(players.z, plain.z, rtol=0, atol=1e-12)


SETS: dict[str, tuple[Any, Callable[[Tensor], bool]]] = {
    "nonneg": ("nonneg", lambda z: bool((z >= 0).all())),
    "simplex": ("simplex", lambda z: bool((z >= 0).all()) and abs(z.sum().item() - 1) < 1e-12),
    "box": (("box", -0.2, 0.3), lambda z: bool(((z >= -0.2) & (z <= 0.3)).all())),
    "a projection": (
        lambda z: z / z.norm().clamp(min=0.5) * 0.5,
        lambda z: z.norm().item() <= 0.5 + 1e-12,
    ),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("of", SETS)
def test_constraints_hold_at_every_evaluation(name: str, of: str) -> None:
    """Half-steps and probes included, and at the end; decay does not leave them."""
    constraint, holds = SETS[of]
    players = Parameters()
    groups = players.groups()
    groups[1] |= {"constraint": constraint, "weight_decay": 0.1}
    opt = Minimax(groups, METHODS[name])
    seen = []

    def closure() -> Any:
        seen.append(players.point.y.detach().clone())
        return players.zero_sum()

    for _ in range(2 if "Halpern" in name else 5):
        opt.step(closure)
        assert holds(players.point.y.detach())
    assert all(map(holds, seen))


def test_a_multiplier_finds_its_value() -> None:
    """min ‖x − (2, 1)‖² s.t. x₀ + x₁ ≤ 1: x = (1, 0) and the multiplier is 2; a slack one is 0."""
    x = torch.zeros(2).double().requires_grad_()
    multipliers = torch.ones(2).double().requires_grad_()
    opt = Minimax(
        [
            {"params": x, "role": "min"},
            {"params": multipliers, "role": "max", "constraint": "nonneg"},
        ],
        Extragradient(0.1),
    )

    def closure() -> Any:
        violations = torch.stack((x.sum() - 1, x[0] - 3))
        distance = (x - torch.tensor([2.0, 1.0])).square().sum()
        return l2o.zero_sum(distance + (multipliers * violations).sum())

    for _ in range(500):
        opt.step(closure)
    torch.testing.assert_close(x.detach(), torch.tensor([1.0, 0.0]).double(), rtol=0, atol=1e-6)
    expected = torch.tensor([2.0, 0.0]).double()
    torch.testing.assert_close(multipliers.detach(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["GDA", "Adam, alternating", "LEADAdam", "StructuredTwin"])
def test_frozen_and_unused_parameters(name: str) -> None:
    """Frozen ones stay; unused ones have the gradient zero."""
    players, plain = Parameters(), Parameters()
    frozen, unused = torch.ones(2).double(), torch.ones(3).double().requires_grad_()
    groups = players.groups()
    groups[0]["params"] = [frozen, *players.x, unused]
    opt, reference = Minimax(groups, METHODS[name]), Minimax(plain.groups(), METHODS[name])
    for _ in range(5):
        opt.step(lambda: l2o.zero_sum(value(*players.point) + frozen.sum()))
        reference.step(plain.zero_sum)
    assert torch.equal(frozen, torch.ones(2).double())
    assert torch.equal(unused.detach(), torch.ones(3).double())
    torch.testing.assert_close(players.z, plain.z)


@pytest.mark.parametrize("name", [n for n in METHODS if n not in ZERO_SUM and "Twin" not in n])
def test_several_types(name: str) -> None:
    """Computed in the widest, single precision at least, and rounded to each parameter's own."""
    x = [torch.ones(2).double().requires_grad_(), torch.ones(2).bfloat16().requires_grad_()]
    y = [torch.ones(4).half().requires_grad_()]
    opt = Minimax([{"params": x, "role": "min"}, {"params": y, "role": "max"}], METHODS[name])
    for _ in range(3):
        opt.step(lambda: l2o.zero_sum((torch.cat(x) * y[0]).sum() + x[1].square().sum()))
    assert [p.dtype for p in (*x, *y)] == [torch.double, torch.bfloat16, torch.half]
    assert all(p.isfinite().all() for p in (*x, *y))
    assert not torch.equal(x[1].detach(), torch.ones(2).bfloat16())


def test_forms_of_params() -> None:
    """One tensor, a module's iterator, names; `role` for all."""
    network = nn.Linear(2, 1)
    ends = []
    for params in (
        lambda net: net.parameters(),
        lambda net: list(net.parameters()),
        lambda net: net.named_parameters(),
        lambda net: [{"params": net.weight}, {"params": [net.bias], "role": "min"}],
    ):
        net = copy.deepcopy(network)
        opt = optim.Adam(params(net), role="min")
        opt.step(lambda net=net: l2o.zero_sum(net(torch.ones(1, 2)).square().sum()))
        ends.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert all(torch.equal(ends[0], end) for end in ends)


def test_hooks_run() -> None:
    players, calls = Parameters(), []
    opt = optim.Adam(players.groups())
    opt.register_step_pre_hook(lambda opt, args, kwargs: calls.append("before"))
    opt.register_step_post_hook(lambda opt, args, kwargs: calls.append("after"))
    opt.step(players.zero_sum)
    assert calls == ["before", "after"]

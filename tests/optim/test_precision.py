"""Autocast to bfloat16 and float16, and the scaler: both players skip a step, or none does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import l2o
from l2o import UserError, optim
from l2o.optim import Minimax
from tests.optim.games import METHODS, Parameters, value

SCALED = ["GDA", "Adam, alternating", "ExtraAdam", "LEADAdam, alternating", "SGAAdam", "Consensus"]


class Networks:
    """A generator and a critic, and the closure of their game under autocast."""

    def __init__(self, dtype: torch.dtype | None) -> None:
        torch.manual_seed(0)
        self.generator = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
        self.critic = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
        self.dtype = dtype
        self.noise = torch.randn(32, 2)

    def groups(self) -> list[dict[str, Any]]:
        return [
            {"params": self.generator.parameters(), "role": "min"},
            {"params": self.critic.parameters(), "role": "max"},
        ]

    def closure(self) -> Any:
        with torch.autocast("cpu", self.dtype or torch.bfloat16, enabled=self.dtype is not None):
            score = self.critic(self.generator(self.noise))
        assert score.dtype == (self.dtype or torch.float32)
        return l2o.zero_sum(score.float().mean() + score.float().tanh().square().mean())

    @property
    def weights(self) -> Tensor:
        parameters = [*self.generator.parameters(), *self.critic.parameters()]
        return torch.cat([p.detach().flatten() for p in parameters])


def moves(networks: Networks, opt: Minimax, steps: int = 3) -> Tensor:
    before = networks.weights
    for _ in range(steps):
        opt.step(networks.closure)
    return networks.weights - before


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_is_close_to_single_precision(name: str, dtype: torch.dtype) -> None:
    exact, cast = Networks(None), Networks(dtype)
    expected = moves(exact, Minimax(exact.groups(), METHODS[name]))
    found = moves(cast, Minimax(cast.groups(), METHODS[name]))
    assert (found - expected).norm() < 0.05 * expected.norm()
    assert not torch.equal(found, expected)
    assert cast.weights.dtype == torch.float32


@pytest.mark.parametrize("name", ["Adam, alternating", "ExtraAdam", "LEADAdam"])
def test_a_step_inside_of_autocast(name: str) -> None:
    """Where casts of parameters are kept until its end, as Lightning has it, half-steps as well."""
    inside, around = Networks(torch.bfloat16), Networks(torch.bfloat16)
    expected = moves(inside, Minimax(inside.groups(), METHODS[name]))
    opt = Minimax(around.groups(), METHODS[name])
    with torch.autocast("cpu", torch.bfloat16):
        found = moves(around, opt)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", SCALED)
def test_a_scale_changes_nothing_but_rounding(name: str) -> None:
    """In double precision, powers of two nothing at all."""
    plain, scaled = Parameters(), Parameters()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    reference = Minimax(plain.groups(max_norm=0.5), METHODS[name])
    opt = Minimax(scaled.groups(max_norm=0.5), METHODS[name], scaler=scaler)
    for _ in range(4):
        expected = reference.step(plain.zero_sum)
        assert torch.equal(opt.step(scaled.zero_sum), expected)
    torch.testing.assert_close(scaled.z, plain.z, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", SCALED)
def test_both_players_skip_what_overflows(name: str) -> None:
    """A gradient of 100 in half precision, scaled by 2¹⁶; the scale halves until it fits."""
    x = torch.ones(2, dtype=torch.half).requires_grad_()
    y = torch.ones(2, dtype=torch.half).requires_grad_()
    groups = [{"params": x, "role": "min"}, {"params": y, "role": "max"}]
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16, growth_interval=1000)
    opt = Minimax(groups, METHODS[name], scaler=scaler, average="uniform")
    norm = nn.BatchNorm1d(1)
    skipped = 0
    for _ in range(12):
        before = [p.detach().clone() for p in (x, y)]
        scale = scaler.get_scale()

        def closure() -> Any:
            norm(torch.randn(4, 1))
            return l2o.zero_sum((100 * x - 3 * y + x * y).float().sum() / 50)

        opt.step(closure)
        moved = [not torch.equal(p.detach(), old) for p, old in zip((x, y), before, strict=True)]
        assert moved in ([True, True], [False, False])
        assert scaler.get_scale() == (scale if moved[0] else scale / 2)
        skipped += not moved[0]
    assert 1 <= skipped < 8
    assert opt.state["minimax"]["iteration"] == 12 - skipped
    assert opt.state["minimax"]["average"]["count"] == 12 - skipped


def test_one_overflow_in_the_second_half_takes_back_the_first() -> None:
    """y moves, then x's gradient overflows: y is where it was, and the scale is halved once."""
    x, y = (torch.ones(1, dtype=torch.half).requires_grad_() for _ in range(2))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    groups = [{"params": x, "role": "min"}, {"params": y, "role": "max"}]
    opt = optim.SGD(groups, lr=0.1, alternating=True, scaler=scaler)
    opt.step(lambda: l2o.zero_sum((60000 * x - y).float().sum()))
    assert x.item() == y.item() == 1.0
    assert scaler.get_scale() == 1.0
    opt.step(lambda: l2o.zero_sum((x - y).float().sum()))
    assert x.item() < 1.0 > y.item()


def test_the_scale_grows_again() -> None:
    players = Parameters()
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)
    opt = optim.ExtraAdam(players.groups(), scaler=scaler)
    for _ in range(4):
        opt.step(players.zero_sum)
    assert scaler.get_scale() == 16.0


def test_costs_that_are_not_finite_are_no_matter_of_scale() -> None:
    players = Parameters()
    scaler = torch.amp.GradScaler("cpu")
    opt = optim.Adam(players.groups(), scaler=scaler)
    with pytest.raises(UserError, match="expected a finite cost of the min player"):
        opt.step(lambda: l2o.zero_sum(value(*players.point) * torch.inf))
    assert scaler.get_scale() == 2.0**16


def test_a_disabled_scaler_does_nothing() -> None:
    plain, other = Parameters(), Parameters()
    optim.Adam(plain.groups()).step(plain.zero_sum)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    optim.Adam(other.groups(), scaler=scaler).step(other.zero_sum)
    assert torch.equal(plain.z, other.z)


def test_a_closure_that_calls_backward_cannot_be_scaled() -> None:
    players = Parameters()

    def closure() -> Tensor:
        f = value(*players.point)
        f.backward()
        return f

    opt = optim.Adam(players.groups(), scaler=torch.amp.GradScaler("cpu"))
    with pytest.raises(UserError, match="closure: with scaler=, expected l2o"):
        opt.step(closure)

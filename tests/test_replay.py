"""Several evaluations in an iteration: the same random numbers, and one update of buffers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import l2o
from l2o.optim import Minimax
from l2o.optimizers import GDA, ExtraAdam, Extragradient, GDAnchoring
from tests.optim.games import METHODS, ZERO_SUM

PLAYERS = {"min": (4.0,), "max": (-3.0,)}


def players() -> list[dict[str, Any]]:
    return [
        {"params": [torch.tensor(start).double().requires_grad_()], "role": role}
        for role, start in PLAYERS.items()
    ]


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ZERO_SUM])
def test_all_evaluations_of_an_iteration_see_the_same_draw(name: str) -> None:
    """And the next iteration sees another one."""
    groups = players()
    (x,), (y,) = (group["params"] for group in groups)
    draws: list[float] = []

    def closure() -> Any:
        draws.append(torch.randn(()).item())
        return l2o.zero_sum((x * y + x**2 - y**2 + 0.1 * draws[-1] * x).sum())

    opt = Minimax(groups, METHODS[name])
    opt.step(closure)
    first = set(draws)
    draws.clear()
    opt.step(closure)
    assert len(first) == len(set(draws)) == 1
    assert first != set(draws)


def test_without_replay_every_evaluation_draws_anew() -> None:
    groups = players()
    draws: list[float] = []

    def closure() -> Any:
        draws.append(torch.randn(()).item())
        (x,), (y,) = (group["params"] for group in groups)
        return l2o.zero_sum((x * y).sum())

    Minimax(groups, Extragradient(), replay=False).step(closure)
    assert len(set(draws)) == 2


def distance(replay: bool) -> float:
    """From the solution of f = s·xy after 100 steps of extragradient, s = 3 or −1 by chance."""
    torch.manual_seed(0)
    groups = players()
    (x,), (y,) = (group["params"] for group in groups)

    def closure() -> Any:
        slope = 4 * torch.randint(2, ()) - 1
        return l2o.zero_sum((slope * x * y).sum())

    opt = Minimax(groups, Extragradient(0.3), replay=replay)
    for _ in range(100):
        opt.step(closure)
    return float(torch.hypot(x, y).detach())


def test_fresh_noise_diverges_where_one_draw_converges() -> None:
    """‖z⁺‖²/‖z‖² is 1 + η²s₂(s₂ − 2s₁) + η⁴s₁²s₂², 1.47 in the mean if s₁ and s₂ are independent
    and η = 0.3; if they are the same, 0.85 or 0.92."""
    assert distance(replay=True) < 0.1
    assert distance(replay=False) > 100


def statistics(buffers: str, batches: list[Tensor]) -> tuple[nn.BatchNorm1d, list[Tensor]]:
    """A batch norm whose steps see two evaluations each, and the inputs that it saw."""
    norm, seen = nn.BatchNorm1d(2).double(), []
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    weight = nn.Parameter(torch.ones(2).double())
    first = nn.ParameterList([weight])
    network = nn.ModuleList([first, norm])
    opt = Minimax(network.parameters(), Extragradient(0.01), role="min", buffers=buffers)
    for batch in batches:
        opt.step(lambda batch=batch: l2o.zero_sum((norm(batch * weight) ** 3 * weight).sum()))
    return norm, seen


@pytest.mark.parametrize("buffers", ["first", "last", "all"])
def test_batch_norm_counts_the_evaluations_it_is_told_to(buffers: str) -> None:
    batches = list(torch.randn(3, 5, 2).double())
    norm, seen = statistics(buffers, batches)
    assert len(seen) == 6
    counted = {"first": seen[::2], "last": seen[1::2], "all": seen}[buffers]
    expected = nn.BatchNorm1d(2).double()
    for batch in counted:
        expected(batch)
    assert norm.num_batches_tracked == len(counted)
    torch.testing.assert_close(norm.running_mean, expected.running_mean)
    torch.testing.assert_close(norm.running_var, expected.running_var)
    assert not torch.equal(seen[0], seen[1])


def test_buffers_of_products_and_of_evaluation_mode() -> None:
    """Kept graphs need the buffers as they were; in evaluation mode backward reads them."""
    for training in (True, False):
        network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 1))
        network.train(training)
        other = nn.Parameter(torch.randn(3, 2))
        opt = l2o.optim.LEADAdam(
            [{"params": network.parameters(), "role": "min"}, {"params": other, "role": "max"}],
            alternating=True,
        )
        for step in range(1, 4):
            opt.step(lambda network=network, other=other: l2o.zero_sum(network(other).mean()))
            assert network[1].num_batches_tracked == (step if training else 0)


def test_spectral_norm_and_buffers_in_the_root() -> None:
    """Power iterations of a parametrization, and a counter that a module keeps itself."""

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))
            self.register_buffer("count", torch.zeros(()))

        def forward(self, inputs: Tensor) -> Tensor:
            self.count += 1
            return self.layer(inputs)

    network, plain = Counting(), Counting()
    plain.load_state_dict(network.state_dict())
    inputs = torch.randn(4, 3)
    opt = Minimax(network.parameters(), Extragradient(), role="min")
    opt.step(lambda: l2o.zero_sum(network(inputs).sum()))
    plain(inputs)
    assert network.count == 1
    for found, expected in zip(network.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(found, expected)


def test_dropout_keeps_its_mask() -> None:
    """The gradients of both evaluations are of the same network."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Dropout(0.5), nn.Linear(50, 1))
    masks = []
    network[0].register_forward_hook(lambda _, __, output: masks.append(output != 0))
    opt = Minimax(network.parameters(), ExtraAdam(), role="min")
    for _ in range(2):
        opt.step(lambda: l2o.zero_sum(network(torch.ones(1, 50)).sum()))
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[2], masks[3])
    assert not torch.equal(masks[0], masks[2])


def test_micro_batches_draw_one_after_the_other() -> None:
    """Each its own numbers, the same ones in both rounds."""
    weight = torch.ones(1).requires_grad_()
    draws: list[float] = []

    def closure() -> Any:
        draws.append(torch.rand(()).item())
        return l2o.zero_sum((weight * draws[-1]).sum())

    Minimax([weight], Extragradient(), role="min").step([closure, closure])
    assert draws[:2] == draws[2:]
    assert draws[0] != draws[1]


def test_the_generator_goes_on_as_if_there_was_one_evaluation() -> None:
    ends = []
    for method in (GDA(), Extragradient(), GDAnchoring()):
        torch.manual_seed(0)
        weight = torch.ones(1).requires_grad_()
        opt = Minimax([weight], method, role="min")
        for _ in range(3):
            opt.step(lambda weight=weight: l2o.zero_sum((weight * torch.randn(())).sum()))
        ends.append(torch.rand(()).item())
    assert len(set(ends)) == 1

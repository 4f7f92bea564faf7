"""What loops by hand around networks do, and where they stumble: reversal, stale graphs, noise."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

import l2o
from l2o import UserError, optim
from l2o.optim import Minimax
from l2o.optimizers import GDA


class Reversal(torch.autograd.Function):
    """A layer that turns gradients around, and weighs them."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return hidden.view_as(hidden)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * slope, None


class Adaptation(nn.Module):
    """Domain-adversarial training (Ganin et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Linear(3, 5), nn.Tanh()).double()
        self.classes, self.domains = nn.Linear(5, 3).double(), nn.Linear(5, 2).double()
        self.inputs = torch.randn(12, 3).double()
        self.labels, self.domain = torch.arange(12) % 3, torch.arange(12) % 2

    def costs(self, weight: float = 0.3) -> Any:
        hidden = self.features(self.inputs)
        of_class = cross_entropy(self.classes(hidden), self.labels)
        of_domain = cross_entropy(self.domains(hidden), self.domain)
        return l2o.general_sum(min=of_class - weight * of_domain, max=of_domain)

    def reversed_cost(self, weight: float = 0.3) -> Tensor:
        hidden = self.features(self.inputs)
        turned: Tensor = Reversal.apply(hidden, weight)
        of_class = cross_entropy(self.classes(hidden), self.labels)
        return of_class + cross_entropy(self.domains(turned), self.domain)


def test_costs_of_their_own_are_a_gradient_reversal_layer() -> None:
    """Every step of one descent through the layer, without a sign to get wrong."""
    mine, plain = Adaptation(), Adaptation()
    learner = [*mine.features.parameters(), *mine.classes.parameters()]
    groups = [
        {"params": learner, "role": "min"},
        {"params": mine.domains.parameters(), "role": "max"},
    ]
    opt, reference = Minimax(groups, GDA(0.1)), torch.optim.SGD(plain.parameters(), lr=0.1)
    for _ in range(20):
        opt.step(mine.costs)
        reference.zero_grad()
        plain.reversed_cost().backward()
        reference.step()
    for found, expected in zip(mine.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert mine.costs().g > Adaptation().costs().g - 0.1


class GAN:
    """Two networks, and their loop by hand."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.generator = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()
        self.critic = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()
        self.noise, self.real = torch.randn(16, 3).double(), torch.randn(16, 2).double() + 1

    def costs(self) -> Any:
        fake, true = self.critic(self.generator(self.noise)), self.critic(self.real)
        d_loss = softplus(-true).mean() + softplus(fake).mean()
        return l2o.general_sum(min=softplus(-fake).mean(), max=d_loss)

    def groups(self) -> list[dict[str, Any]]:
        return [
            {"params": self.generator.parameters(), "role": "min"},
            {"params": self.critic.parameters(), "role": "max"},
        ]

    def by_hand(self, steps: int, alternating: bool) -> None:
        """With a graph of its own for each player, and all derivatives before a move at once."""
        players = self.critic, self.generator
        opts = [torch.optim.Adam(player.parameters(), lr=0.01) for player in players]
        for _ in range(steps):
            for moving in ((0,), (1,)) if alternating else ((0, 1),):
                for which in moving:
                    parameters = list(players[which].parameters())
                    cost = self.costs()[1 - which]
                    for p, slope in zip(
                        parameters, torch.autograd.grad(cost, parameters), strict=True
                    ):
                        p.grad = slope
                for which in moving:
                    opts[which].step()


@pytest.mark.parametrize("alternating", [False, True])
def test_costs_that_share_a_graph_need_no_second_backward(alternating: bool) -> None:
    """Nor retain_graph; the critic's move spoils no graph of the generator's."""
    mine, plain = GAN(), GAN()
    opt = optim.Adam(mine.groups(), lr=0.01, alternating=alternating)
    for _ in range(10):
        opt.step(mine.costs)
    plain.by_hand(10, alternating)
    for name in ("generator", "critic"):
        pairs = zip(
            getattr(mine, name).parameters(), getattr(plain, name).parameters(), strict=True
        )
        for found, expected in pairs:
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_network_that_serves_both_players_is_refused_by_name() -> None:
    """Shared weights belong to one player."""
    gan = GAN()
    groups = gan.groups()
    groups[1]["params"] = [*gan.critic.parameters(), gan.generator[0].weight]
    with pytest.raises(UserError, match="a parameter is in two groups"):
        optim.Adam(groups)


def test_two_devices_are_refused_by_name() -> None:
    elsewhere = torch.ones(2, device="meta").requires_grad_()
    groups = [{"params": [torch.ones(2).requires_grad_()], "role": "min"}]
    with pytest.raises(UserError, match="expected all on one device, got cpu, meta"):
        optim.Adam([*groups, {"params": [elsewhere], "role": "max"}])


def test_clipping_weights_by_hand_between_steps_counts() -> None:
    """Steps begin where the parameters are, though `.data` hides the change from autograd."""
    clipped, boxed = GAN(), GAN()
    groups = boxed.groups()
    groups[1]["constraint"] = ("box", -0.1, 0.1)
    for player in (clipped, boxed):
        for p in player.critic.parameters():
            p.data.clamp_(-0.1, 0.1)
    opts = optim.Adam(clipped.groups()), optim.Adam(groups)
    for _ in range(5):
        opts[0].step(clipped.costs)
        for p in clipped.critic.parameters():
            p.data.clamp_(-0.1, 0.1)
        opts[1].step(boxed.costs)
    for found, expected in zip(clipped.critic.parameters(), boxed.critic.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_a_penalty_on_the_critics_gradient_in_the_closure() -> None:
    """A closure may differentiate; products then take third derivatives."""
    gan = GAN()

    def closure() -> Any:
        real = gan.real.clone().requires_grad_()
        (slope,) = torch.autograd.grad(gan.critic(real).sum(), real, create_graph=True)
        costs = gan.costs()
        return l2o.general_sum(min=costs.f, max=costs.g + 100 * slope.square().sum(1).mean())

    def steepness() -> Tensor:
        real = gan.real.clone().requires_grad_()
        return torch.autograd.grad(gan.critic(real).sum(), real)[0].norm()

    before = copy.deepcopy(gan.critic.state_dict())
    for make in (optim.ExtraAdam, optim.LEADAdam):
        gan.critic.load_state_dict(before)
        steep = steepness()
        opt = make(gan.groups(), lr=0.02)
        for _ in range(40):
            opt.step(closure)
        assert steepness() < 0.5 * steep

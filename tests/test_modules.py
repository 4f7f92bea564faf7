"""A game of closures over modules: its field and its products through real layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import l2o
from l2o.modules import ModuleGame, Player
from l2o.replay import Replay

STEP = 1e-4


def convolutional() -> tuple[nn.Module, nn.Module, Tensor]:
    """With batch norm, in training mode."""
    generator = nn.Sequential(
        nn.Linear(3, 8),
        nn.Unflatten(1, (2, 2, 2)),
        nn.BatchNorm2d(2),
        nn.Tanh(),
        nn.ConvTranspose2d(2, 1, 3, 2),
    )
    critic = nn.Sequential(
        nn.Conv2d(1, 2, 3, 2), nn.BatchNorm2d(2), nn.SiLU(), nn.Flatten(), nn.Linear(8, 1)
    )
    return generator, critic, torch.randn(4, 3)


class Attention(nn.Module):
    """A layer of a transformer on a sequence of two words."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(inputs, 8), nn.Linear(8, outputs)
        self.layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, activation="gelu")

    def forward(self, inputs: Tensor) -> Tensor:
        words = self.before(inputs).unflatten(1, (2, 4)).transpose(0, 1)
        return self.after(self.layer(words).transpose(0, 1).flatten(1))


def attentive() -> tuple[nn.Module, nn.Module, Tensor]:
    return Attention(3, 2), Attention(2, 1), torch.randn(4, 3)


def game_of(
    modules: tuple[nn.Module, nn.Module, Tensor], zero_sum: bool
) -> tuple[ModuleGame, Tensor]:
    """A GAN without data in double precision, and where its parameters are, (1, d)."""
    generator, critic, noise = (part.double() for part in modules)

    def closure() -> Any:
        score = critic(generator(noise))
        if zero_sum:
            return l2o.zero_sum(softplus(score).mean() + 0.1 * score.square().mean())
        return l2o.general_sum(min=softplus(-score).mean(), max=(score.tanh() + score**2).mean())

    x, y = (list(module.parameters()) for module in (generator, critic))
    game = ModuleGame(
        [closure], (player(x), player(y)), Replay(False, "all"), torch.double, torch.device("cpu")
    )
    return game, torch.cat(game.start, dim=1)


def player(parameters: Sequence[nn.Parameter]) -> Player:
    return Player(list(parameters), sum(p.numel() for p in parameters), [], [], 0.0)


def change(value: Callable[[float], Tensor]) -> Tensor:
    """The derivative at 0, up to the fourth power of the step."""
    near, far = (value(k) - value(-k) for k in (STEP, 2 * STEP))
    return (8 * near - far) / (12 * STEP)


on_layers = pytest.mark.parametrize("make", [convolutional, attentive])
of_both_kinds = pytest.mark.parametrize("zero_sum", [True, False], ids=["zero-sum", "general-sum"])
Make = Callable[[], tuple[nn.Module, nn.Module, Tensor]]


@on_layers
@of_both_kinds
@torch.no_grad()
def test_the_field_is_that_of_finite_differences(make: Make, zero_sum: bool) -> None:
    game, z = game_of(make(), zero_sum)
    w = torch.randn_like(z)
    (x, y), (u, v) = game.split(z), game.split(w)
    slope_x, slope_y = game.split(game.field(z))
    along_x = change(lambda k: game.costs(x + k * u, y).f)
    along_y = change(lambda k: game.costs(x, y + k * v).g)
    torch.testing.assert_close((slope_x * u).sum(1), along_x, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close((slope_y * v).sum(1), along_y, rtol=1e-7, atol=1e-9)
    assert torch.equal(game.field_x(x, y), slope_x)
    assert torch.equal(game.field_y(x, y), slope_y)


@on_layers
@of_both_kinds
@torch.no_grad()
def test_products_are_those_of_finite_differences(make: Make, zero_sum: bool) -> None:
    """J w, its off-diagonal blocks, and Jᵀ w by ⟨w', J w⟩ = ⟨Jᵀ w', w⟩."""
    game, z = game_of(make(), zero_sum)
    w, other = torch.randn(2, 1, z.shape[1]).double()
    (x, y), (u, v) = game.split(z), game.split(w)

    along = change(lambda k: game.field(z + k * w))
    torch.testing.assert_close(game.jvp(z, w), along, rtol=1e-6, atol=1e-8)
    by_y = change(lambda k: game.field_x(x, y + k * v))
    torch.testing.assert_close(game.coupling_x(x, y, v), by_y, rtol=1e-6, atol=1e-8)
    by_x = change(lambda k: game.field_y(x + k * u, y))
    torch.testing.assert_close(game.coupling_y(x, y, u), by_x, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close((game.vjp(z, other) * w).sum(), (other * game.jvp(z, w)).sum())


@of_both_kinds
def test_an_evaluation_serves_the_field_and_its_products(zero_sum: bool) -> None:
    """One run of the closure at each point, for methods that say they need products."""
    generator, critic, noise = convolutional()
    runs: list[nn.Module] = []
    critic.register_forward_hook(lambda module, *_: runs.append(module))
    game, z = game_of((generator, critic, noise), zero_sum)
    game.keeps_graphs = True
    field = game.field(z)
    for product in (game.jvp, game.vjp, game.coupling):
        product(z, field)
    assert len(runs) == 1
    game.field(z - field)
    assert len(runs) == 2


def test_costs_that_do_not_meet_have_no_coupling() -> None:
    """f of x alone, g of y alone: the field is there, its off-diagonal blocks are zero."""
    x, y = (torch.ones(2).double().requires_grad_() for _ in range(2))

    def closure() -> Any:
        return l2o.general_sum(min=(x**3).sum(), max=(y**4).sum())

    players = player([x]), player([y])
    replay = Replay(False, "all")
    game = ModuleGame([closure], players, replay, torch.double, torch.device("cpu"))
    z = torch.tensor([[1.0, 2.0, 3.0, 4.0]]).double()
    w = torch.ones(1, 4).double()
    expected = torch.tensor([[3.0, 12.0, 108.0, 256.0]]).double()
    torch.testing.assert_close(game.field(z), expected)
    assert torch.equal(game.coupling(z, w), torch.zeros(1, 4).double())
    diagonal = torch.tensor([[6.0, 12.0, 108.0, 192.0]]).double()
    torch.testing.assert_close(game.jvp(z, w), diagonal)
    torch.testing.assert_close(game.vjp(z, w), diagonal)


def test_sparse_gradients_count() -> None:
    """Those of an embedding, which PyTorch's Adam refuses."""
    embedding = nn.Embedding(5, 2, sparse=True)
    before = embedding.weight.detach().clone()
    opt = l2o.optim.Adam(embedding.parameters(), lr=0.1, role="min")
    opt.step(lambda: l2o.zero_sum(embedding(torch.tensor([1, 3])).sum()))
    moved = (embedding.weight.detach() != before).any(dim=1)
    assert moved.tolist() == [False, True, False, True, False]

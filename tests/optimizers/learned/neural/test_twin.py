"""The neural twin against its equations, and what it must not depend on."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from l2o import Iterate, unroll
from l2o.games import Costs
from l2o.optimizers import NeuralTwin, tensors
from l2o.optimizers.learned.neural.rule import STATISTICS, Rule
from l2o.problems import GANMixture, Instances, Problem, Theta
from tests.helpers import double_batch
from tests.optimizers.learned.neural.helpers import twin


def small(loss: str = "non_saturating") -> GANMixture:
    return GANMixture(width=5, depth=1, latent=3, batch=6, samples=20, loss=loss, activation="tanh")


class Scaled(Problem):
    """A GAN whose costs are multiplied by a number each."""

    def __init__(self, f: float, g: float) -> None:
        self.inner = small()
        super().__init__(m=self.inner.m, n=self.inner.n)
        self.f, self.g = f, g

    zero_sum = False
    tensors = property(lambda self: self.inner.tensors)
    sample_parameters = property(lambda self: self.inner.sample_parameters)
    sample_start = property(lambda self: self.inner.sample_start)
    draw = property(lambda self: self.inner.draw)

    def costs(self, x: Tensor, y: Tensor, theta: Theta) -> Costs:
        f, g = self.inner.costs(x, y, theta)
        return Costs(self.f * f, self.g * g)


class Reference:
    """The rule of one player of one instance, number by number, as its docstring states it."""

    def __init__(self, rule: Rule, w: Tensor, sizes: list[int]) -> None:
        self.rule, self.sizes = rule, sizes
        self.gradients: list[Tensor] = []
        self.moved, self.average, self.shown = torch.zeros_like(w), w, [0.0, 0.0, 0.0]

    def momentum(self, decay: float, power: int = 1) -> Tensor:
        """Σ (1 − β) β^age g^power."""
        ages = range(len(self.gradients) - 1, -1, -1)
        terms = [
            (1 - decay) * decay**a * g**power for a, g in zip(ages, self.gradients, strict=True)
        ]
        return torch.stack(terms).sum(0)

    def step(self, w: Tensor, gradient: Tensor, other: list[float]) -> Tensor:
        before = self.momentum(0.9) if self.gradients else torch.zeros_like(w)
        last = self.gradients[-1] if self.gradients else gradient
        self.gradients.append(gradient)
        t = len(self.gradients)
        logit, horizon, floor = self.rule.fixed[0].tolist()
        decay = 1 / (1 + math.exp(-logit))
        size = (self.momentum(decay, 2) / (1 - decay**t)).sqrt()
        size = torch.where(size == 0, 1, size)
        fast, slow = self.momentum(0.5) / (1 - 0.5**t), self.momentum(0.9) / (1 - 0.9**t)
        sigma = torch.cat(
            [
                part.square().mean().sqrt().clamp(min=math.exp(floor)).expand(len(part))
                for part in w.split(self.sizes)
            ]
        )
        seen = [
            log(slow / size),
            cosine(gradient, last) if t > 1 else 0.0,
            cosine(gradient, before),
        ]
        clocks = [(t - 1) / (t - 1 + half) for half in (30, 300)]
        own = [cosine(before, self.moved), log(self.moved / sigma)]
        inputs = torch.tensor([*seen, *own, *other, *clocks], dtype=w.dtype)
        assert len(inputs) == STATISTICS
        hidden = (inputs @ self.rule.inputs[0] + self.rule.biases[0, 0]).tanh()
        ell, c1, c2, c3, c4, pull = (
            self.rule.constants[0] + hidden @ self.rule.outputs[0]
        ).tolist()
        direction = (c1 * gradient + c2 * fast + c3 * slow + c4 * (gradient - last)) / size
        u = -math.exp(ell) / (1 + (t - 1) / math.exp(horizon)) * sigma * direction
        kappa = 0.1 / (1 + math.exp(-pull))
        new = w + u + kappa * (self.average - w)
        self.moved, self.average, self.shown = u, 0.99 * self.average + 0.01 * new, seen
        return new


def cosine(a: Tensor, b: Tensor) -> float:
    scale = (a.norm() * b.norm()).item()
    return (a @ b).item() / scale if scale else 0.0


def log(v: Tensor) -> float:
    return math.log10(v.square().mean().sqrt().item() + 1e-3)


@torch.no_grad()
def test_it_is_its_equations() -> None:
    """Step by step from the iterates of the trajectory, which would magnify rounding errors."""
    optimizer, problem = twin(), small()
    instances, start = double_batch(problem, 1)
    first = Reference(optimizer.minimizer, start.x[0], problem.tensors[0])
    second = Reference(optimizer.maximizer, start.y[0], problem.tensors[1])
    points = unroll(optimizer, instances, start, 12)
    for t in range(12):
        game, (x, y), new = instances.at(t), (points.x[t], points.y[t]), points.x[t + 1]
        moved = first.step(x[0], game.field_x(x, y)[0], second.shown)
        torch.testing.assert_close(moved, new[0], rtol=1e-10, atol=1e-12)
        moved = second.step(y[0], game.field_y(new, y)[0], first.shown)
        torch.testing.assert_close(moved, points.y[t + 1, 0], rtol=1e-10, atol=1e-12)


def trajectory(instances: Instances, start: Iterate) -> Tensor:
    with torch.no_grad():
        return torch.cat(unroll(twin(), instances, start, 10)[:2], dim=2)


def test_the_scale_of_a_cost_does_not_matter() -> None:
    plain = trajectory(*double_batch(Scaled(1, 1), 2))
    scaled = trajectory(*double_batch(Scaled(300, 0.001), 2))
    torch.testing.assert_close(scaled, plain, rtol=1e-8, atol=1e-10)


def test_the_order_of_units_does_not_matter() -> None:
    """Permuting the hidden units of a generator permutes its trajectory."""
    problem = small()
    instances, start = double_batch(problem, 2)
    (rows, width), _ = problem.generator.layers
    order = torch.randperm(width, generator=torch.Generator().manual_seed(0))
    weights = torch.arange(width * rows).view(width, rows)[order].flatten()
    biases = rows * width + order
    outputs = (rows + 1) * width + torch.arange(2 * width).view(2, width)[:, order].flatten()
    rest = torch.arange((rows + 3) * width, problem.m)
    places = torch.cat((weights, biases, outputs, rest))
    permuted = trajectory(instances, Iterate(start.x[:, places], start.y))
    plain = trajectory(instances, start)
    torch.testing.assert_close(permuted[..., : problem.m], plain[..., : problem.m][..., places])


@pytest.mark.parametrize("share_weights", [False, True])
def test_members_are_each_alone(share_weights: bool) -> None:
    """A population side by side is what its members are one by one."""
    instances, start = double_batch(small(), 2)
    alone = [twin(seed, share_weights=share_weights) for seed in range(3)]
    weights = torch.stack([parameters_to_vector(member.parameters()) for member in alone])
    together = Iterate(*(point.repeat(3, 1) for point in start))
    with torch.no_grad():
        population = unroll(alone[0].members(weights), instances.repeat(3), together, 8).last
        for place, member in enumerate(alone):
            own = unroll(member, instances, start, 8).last
            for part, expected in zip(population, own, strict=True):
                torch.testing.assert_close(part[2 * place : 2 * place + 2], expected)


@pytest.mark.parametrize(
    ("switch", "spoil"),
    [
        ("statistics", lambda rule: None),
        ("pull", lambda rule: rule.constants[:, 5].add_(1)),
        ("optimism", lambda rule: rule.constants[:, 4].add_(1)),
        ("relative", lambda rule: rule.fixed[:, 2].add_(1)),
    ],
)
def test_what_is_switched_off_plays_no_part(switch: str, spoil: Callable[[Rule], object]) -> None:
    instances, start = double_batch(small(), 1)
    full, without = twin(), twin(**{switch: False})
    spoiled = twin(**{switch: False})
    with torch.no_grad():
        spoil(spoiled.minimizer)
        runs = [unroll(one, instances, start, 5).last.x for one in (full, without, spoiled)]
    assert not torch.allclose(runs[0], runs[1])
    assert torch.equal(runs[1], runs[2])


def test_it_is_small() -> None:
    """Fewer than 2,000 weights, six numbers a parameter and a few a player."""
    optimizer = NeuralTwin()
    assert sum(weight.numel() for weight in optimizer.parameters()) < 2000
    instances, start = double_batch(small(), 1)
    kept = sum(part.numel() for part in tensors(optimizer.init(instances, start)))
    assert kept <= 6 * (start.x.numel() + start.y.numel()) + 7

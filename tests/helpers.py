"""What several tests share."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from l2o.games import Costs, Game, join
from l2o.io.seeds import generator
from l2o.optimizers import TwinL2O
from l2o.problems import (
    Instances,
    Iterate,
    MatrixGame,
    Problem,
    QuadraticGame,
    RotatedSaddle,
    Saddle,
    Seesaw,
)
from l2o.problems.base import Theta
from l2o.training.meta_gradients import MetaGradients
from l2o.training.rewards import Reward, Unrolled
from l2o.unroll import Detach, Trajectory

PROBLEMS: dict[str, Problem] = {
    "saddle": Saddle(m=2, n=3),
    "rotated_saddle": RotatedSaddle(dimension=2),
    "seesaw": Seesaw(a=[0.5, 5.0], b=[0.1, 2.0]),
    "matrix_game": MatrixGame(m=3, n=4),
    "quadratic_game": QuadraticGame(dimension=3),
}


class Cubic(Problem):
    """A problem as a user writes it: an objective and nothing else."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (theta["c"] * x**3).sum(-1) + x.sum(-1) * y.prod(-1) - (y**2).sum(-1)


class Open(Problem):
    """Another problem without its closed forms."""

    def __init__(self, inner: Problem) -> None:
        super().__init__(m=inner.m, n=inner.n)
        self.inner = inner
        self.affine = inner.affine

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        return self.inner.sample_parameters(count, generator)

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return self.inner.objective(x, y, theta)


class TwoCosts(Open):
    """Another problem, its zero-sum costs written as those of a general-sum game."""

    def costs(self, x: Tensor, y: Tensor, theta: Theta) -> Costs:
        f = self.inner.objective(x, y, theta)
        return Costs(f, -f)


def double_batch(problem: Problem, count: int, seed: int = 0) -> tuple[Instances, Iterate]:
    """Instances and starting points in double precision."""
    instances = problem.sample(count, generator(seed, "instances")).to(torch.double)
    start = problem.sample_start(count, generator(seed, "start"))
    return instances, Iterate(*(point.double() for point in start))


def small_twin(**settings: Any) -> TwinL2O:
    """A twin of few units in double precision."""
    return TwinL2O(**{"hidden_size": 4, **settings}).double()


def gradients(game: Game, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(∇ₓf, ∇_y f) of a zero-sum game, one point or several for each instance."""
    if x.ndim > 2:
        pairs = [gradients(game, *point) for point in zip(x, y, strict=True)]
        return torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])
    grad_x, descent_y = game.split(game.field(join((x, y))))
    return grad_x, -descent_y


def coupling_xy(game: Game, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """∇²xy f · v."""
    return game.coupling_x(x, y, v)


def coupling_yx(game: Game, x: Tensor, y: Tensor, u: Tensor) -> Tensor:
    """∇²yx f · u of a zero-sum game."""
    return -game.coupling_y(x, y, u)


def hessian_product(
    game: Game, x: Tensor, y: Tensor, u: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    """∇²f · (u, v) of a zero-sum game."""
    product_x, product_y = game.split(game.jvp(join((x, y)), join((u, v))))
    return product_x, -product_y


class Rewarded(NamedTuple):
    """What a window contributes to the meta-loss."""

    value: Tensor
    """Of each instance, 0 where it diverged, (B,)."""
    sound: Tensor
    """Which did not, (B,)."""
    mean: Tensor
    """Over the sound ones, 0 if there are none."""


def unrolled(
    twin: TwinL2O, game: Instances, start: Iterate, iterations: int, detach: Detach = Detach.NONE
) -> Trajectory:
    """A window as meta-training unrolls it."""
    state = twin.init(game, start)
    policy = MetaGradients(detach)
    return policy.unroll(twin, game, start, iterations, state=state, first=0)


def rewarded(
    reward: Reward, game: Instances, trajectory: Trajectory, detach: Detach, counted: bool
) -> Rewarded:
    """The reward of a window as meta-training counts it."""
    policy = MetaGradients(detach)
    values = reward(Unrolled(game, trajectory, detach, counted))
    sound = policy.sound(game, trajectory, values)
    mean = policy.mean(values, sound, sound.sum().clamp(min=1))
    return Rewarded(torch.where(sound, values, 0), sound, mean)

"""Rewards: the terms of the meta-loss, summed over one window (paper, Eq. 3).

Axes: W iterations of the window, B instances.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Costs, join
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.norms import norm
from l2o.problems import Instances
from l2o.unroll import Detach, Trajectory

SMALLEST_SQUARE = 1e-12
"""Added to a squared gradient norm before its logarithm is taken."""


class Unrolled(NamedTuple):
    """A window, and what of it passes meta-gradients."""

    instances: Instances
    trajectory: Trajectory
    """W iterations on them, (W + 1, B, m) and (W + 1, B, n)."""
    detach: Detach
    count_last_half_step: bool
    """Whether the last max half-step gets meta-gradients. The released code rewards it only in the
    next window, after the meta-update."""


class Reward(ABC):
    """Σ_t w_t R_t over the iterations of a window; what meta-training minimizes.

    Args:
        weights: w_1, …, w_W, one for each iteration of a window; null weighs all by 1.

    Raises:
        UserError: If a weight is negative or not finite.
    """

    differentiable: bool = True
    """Whether meta-gradients can pass."""
    needs_all: bool = True
    """Whether it looks at all iterates of a window, not at the last alone."""

    def __init__(self, weights: Sequence[float] | None = None) -> None:
        if weights is not None and (isinstance(weights, str) or not isinstance(weights, Sequence)):
            raise checks.refusal("weights", "a list of numbers or null", weights)
        given = None if weights is None else list(weights)
        self.weights = given and [checks.number("weights", w, minimum=0) for w in given]

    def check(self, window: int) -> None:
        """Raises UserError unless there is a weight for each iteration of a window."""
        if self.weights is not None and len(self.weights) != window:
            raise UserError(
                f"reward.weights: expected {window} numbers, one for each iteration of "
                f"protocol.window, got {len(self.weights)}: {checks.shown(self.weights)}"
            )

    @abstractmethod
    def __call__(self, window: Unrolled) -> Tensor:
        """Σ_t w_t R_t of each instance, (B,).

        Args:
            window: Under `Detach.GREEDY`, what is measured after a half-step passes gradients to
                the player that moved only.
        """

    def weights_like(self, values: Tensor) -> Tensor:
        """w as a column of the type of the values, (W, 1), where they are (W, B)."""
        if self.weights is None:
            return torch.ones(len(values), 1, dtype=values.dtype, device=values.device)
        return torch.tensor(self.weights, dtype=values.dtype, device=values.device).unsqueeze(1)


class ObjectiveReward(Reward):
    """R_t = [f(x_t, y_{t−1}) − f(x_{t−1}, y_{t−1})] + [g(x_t, y_t) − g(x_t, y_{t−1})]    (Eq. 4).

    Each player's gain in its half-step; in a zero-sum game g = −f, as in the paper. As every cost
    stands in two terms of the sum, under `Detach.GREEDY` each output gets twice the gradient of its
    own half-step's cost.
    """

    def __call__(self, window: Unrolled) -> Tensor:
        first, half, full = half_step_costs(window)
        w = self.weights_like(half.f)
        last = full.g[-1] if window.count_last_half_step else full.g[-1].detach()
        # What ends iteration t begins iteration t + 1.
        inner = (w[:-1] * full.g[:-1] - w[1:] * full.f[:-1]).sum(0)
        return (w * (half.f - half.g)).sum(0) + inner + w[-1] * last - w[0] * first


class SquaredGradientNorm(Reward):
    """R_t = ‖∇ₓf(x_t, y_t)‖² + ‖∇_y f(x_t, y_t)‖²    (Eq. 38).

    Under `Detach.GREEDY` each half-step answers for what it leaves: R_t is the mean of ‖∇f‖²
    after the min half-step, at (x_t, y_{t−1}), and after the max half-step.
    """

    def __call__(self, window: Unrolled) -> Tensor:
        squares = [self.weights_like(part) * part for part in squared_fields(window)]
        return torch.stack(squares).mean(0).sum(0)


class LogGradientNorm(Reward):
    """R_t = log(‖∇ₓf(x_t, y_t)‖² + ‖∇_y f(x_t, y_t)‖² + 1e-12): every digit gained counts alike.

    Under `Detach.GREEDY` it is the mean of two terms, as of `SquaredGradientNorm`.
    """

    def __call__(self, window: Unrolled) -> Tensor:
        logarithms = [
            self.weights_like(part) * (part + SMALLEST_SQUARE).log()
            for part in squared_fields(window)
        ]
        return torch.stack(logarithms).mean(0).sum(0)


class NikaidoIsoda(Reward):
    """R_t = [f(x_t, y_{t−1}) − f(x_t, y_t)]²/‖y_t − y_{t−1}‖²
    + [f(x_t, y_{t−1}) − f(x_{t−1}, y_{t−1})]²/‖x_t − x_{t−1}‖²    (Eq. 39).

    Where a player stands still its denominator vanishes. A term whose player has moved by less
    than `shortest` is left out; it counts as zero and passes no gradient.

    Args:
        shortest: The shortest move that is judged, above 0.
        weights: See `Reward`.
    """

    def __init__(self, shortest: float = 1e-6, weights: Sequence[float] | None = None) -> None:
        super().__init__(weights)
        self.shortest = checks.positive("shortest", shortest)

    def __call__(self, window: Unrolled) -> Tensor:
        first, half, full = half_step_costs(window)
        x, y = window.trajectory.x, window.trajectory.y
        fixed = Tensor.detach if window.detach is Detach.GREEDY else Tensor.clone
        moved_x, moved_y = x[1:] - fixed(x[:-1]), y[1:] - fixed(y[:-1])
        before = fixed(torch.cat((first.unsqueeze(0), full.f[:-1])))
        gain_x = self._slope(half.f - before, moved_x)
        gain_y = self._slope(full.g - fixed(half.g), moved_y)
        if not window.count_last_half_step:
            gain_y = torch.cat((gain_y[:-1], gain_y[-1:].detach()))
        terms = gain_x + gain_y
        return (self.weights_like(terms) * terms).sum(0)

    def _slope(self, gain: Tensor, moved: Tensor) -> Tensor:
        """gain²/‖moved‖², 0 where the move is too short, (W, B)."""
        squared = moved.square().sum(-1)
        judged = squared > self.shortest**2
        # Guarded inside as well: the gradient of what is not used must not be NaN.
        return torch.where(judged, gain**2 / torch.where(judged, squared, 1), 0)


class Quality(Reward):
    """The problem's own measure of the last iterate, turned so that less is better.

    Where there is none, the logarithm of the distance, or of the gradient norm if solutions are
    not known. It need not be differentiable.
    """

    differentiable = False
    needs_all = False

    def __init__(self) -> None:
        super().__init__()

    def __call__(self, window: Unrolled) -> Tensor:
        game, (x, y) = window.instances, window.trajectory.last
        if game.problem.assessed:
            measure = game.problem.measures[0]
            return measure.costs(game.measured(measure, x, y))
        if game.problem.has_solutions:
            size = game.distance(x, y).joint
        else:
            size = norm(game.field(join((x, y)))).squeeze(1)
        return (size.square() + SMALLEST_SQUARE).log() / 2


def half_step_costs(window: Unrolled) -> tuple[Tensor, Costs, Costs]:
    """The players' costs at the start of a window, after each min and after each max half-step.

    Returns:
        f(x_0, y_0), (B,), without a graph; the costs at (x_t, y_{t−1}) and at (x_t, y_t), (W, B)
        each.
    """
    (x, y), iterations = window.trajectory[:2], len(window.trajectory.x) - 1
    x_half, x_full, y_half, y_full = _half_steps(window)
    costs = window.instances.repeat(2 * iterations + 1).costs(
        torch.cat((x_half, x_full, x[:1].detach())).flatten(0, 1),
        torch.cat((y_half, y_full, y[:1].detach())).flatten(0, 1),
    )
    sizes = (iterations, iterations, 1)
    f, g = (cost.view(2 * iterations + 1, -1).split_with_sizes(sizes) for cost in costs)
    return f[2][0], Costs(f[0], g[0]), Costs(f[1], g[1])


def squared_fields(window: Unrolled) -> list[Tensor]:
    """‖G‖² after each iteration, (W, B); under `Detach.GREEDY` after each half-step instead."""
    x_half, x_full, y_half, y_full = _half_steps(window)
    if not window.count_last_half_step:
        y_full = torch.cat((y_full[:-1], y_full[-1:].detach()))
    points = [(x_full, y_full)]
    if window.detach is Detach.GREEDY:
        points.insert(0, (x_half, y_half))
    game, squares = window.instances.repeat(len(x_full)), []
    for x, y in points:
        field = game.field(join((x, y)).flatten(0, 1))
        parts = [player.square().sum(-1) for player in game.split(field)]
        squares.append((parts[0] + parts[1]).view(len(x), -1))
    return squares


def _half_steps(window: Unrolled) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x and x, y and y after the min and after the max half-step, (W, B, ·) each.

    Under `Detach.GREEDY`, only the player that moved passes gradients.
    """
    x, y = window.trajectory.x, window.trajectory.y
    if window.detach is Detach.GREEDY:
        return x[1:], x[1:].detach(), y[:-1].detach(), y[1:]
    return x[1:], x[1:], y[:-1], y[1:]

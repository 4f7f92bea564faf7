"""Rewards: the terms of the meta-loss, summed over one window (paper, Eq. 3).

Axes: W iterations of the window, B instances.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.divergence import cut_off, diverged
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.problems import Instances, Iterate
from l2o.unroll import Detach, Trajectory

SMALLEST_SQUARE = 1e-12
"""Added to a squared gradient norm before its logarithm is taken."""


class WindowReward(NamedTuple):
    """What each instance contributes to the meta-loss."""

    value: Tensor
    """(B,); zero where the instance is not sound."""
    sound: Tensor
    """(B,); False where the instance diverged, so that it counts for nothing."""

    @property
    def mean(self) -> Tensor:
        """The meta-loss: the mean over sound instances, 0 if there are none."""
        return self.value.sum() / self.sound.sum().clamp(min=1)


class Unrolled(NamedTuple):
    """A window, and what of it passes meta-gradients; see the call of `Reward`."""

    instances: Instances
    trajectory: Trajectory
    detach: Detach
    count_last_half_step: bool


class Reward(ABC):
    """Σ_t w_t R_t over the iterations of a window; what meta-training minimizes.

    Args:
        weights: w_1, …, w_W, one for each iteration of a window; null weighs all by 1.

    Raises:
        UserError: If a weight is negative or not finite.
    """

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
    def value(self, window: Unrolled) -> Tensor:
        """Σ_t w_t R_t of each instance, (B,)."""

    def __call__(
        self,
        instances: Instances,
        trajectory: Trajectory,
        detach: Detach,
        count_last_half_step: bool,
    ) -> WindowReward:
        """The reward of a window.

        Args:
            instances: B instances.
            trajectory: W iterations on them, (W + 1, B, m) and (W + 1, B, n).
            detach: Where meta-gradients stop. Under `Detach.GREEDY` what is measured after a
                half-step passes gradients to the player that moved only.
            count_last_half_step: Whether the last max half-step gets meta-gradients. The
                released code rewards it only in the next window, after the meta-update.

        Returns:
            The reward of each instance. Divergence of one changes neither the value nor the
            meta-gradient of another.
        """
        value = self.value(Unrolled(instances, trajectory, detach, count_last_half_step))
        x, y = trajectory.x, trajectory.y
        sound = value.isfinite() & ~diverged(x, y).any(0)
        cut_off(Iterate(x, y), ~sound)
        return WindowReward(torch.where(sound, value, 0), sound)

    def weights_like(self, values: Tensor) -> Tensor:
        """w as a column of the type of the values, (W, 1), where they are (W, B)."""
        if self.weights is None:
            return torch.ones(len(values), 1, dtype=values.dtype, device=values.device)
        return torch.tensor(self.weights, dtype=values.dtype, device=values.device).unsqueeze(1)


class ObjectiveReward(Reward):
    """R_t = [f(x_t, y_{t−1}) − f(x_t, y_t)] + [f(x_t, y_{t−1}) − f(x_{t−1}, y_{t−1})]    (Eq. 4).

    As every objective stands in two terms of the sum, under `Detach.GREEDY` each output gets
    twice the gradient of its own half-step objective.
    """

    def value(self, window: Unrolled) -> Tensor:
        first, half, full = half_step_objectives(window)
        w = self.weights_like(half)
        last = full[-1] if window.count_last_half_step else full[-1].detach()
        # f(x_t, y_t) ends iteration t and begins iteration t + 1.
        inner = ((w[:-1] + w[1:]) * full[:-1]).sum(0)
        return (2 * w * half).sum(0) - inner - w[-1] * last - w[0] * first


class SquaredGradientNorm(Reward):
    """R_t = ‖∇ₓf(x_t, y_t)‖² + ‖∇_y f(x_t, y_t)‖²    (Eq. 38)."""

    def value(self, window: Unrolled) -> Tensor:
        squares = squared_gradients(window)
        return (self.weights_like(squares) * squares).sum(0)


class LogGradientNorm(Reward):
    """R_t = log(‖∇ₓf(x_t, y_t)‖² + ‖∇_y f(x_t, y_t)‖² + 1e-12): every digit gained counts alike."""

    def value(self, window: Unrolled) -> Tensor:
        squares = squared_gradients(window)
        return (self.weights_like(squares) * (squares + SMALLEST_SQUARE).log()).sum(0)


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

    def value(self, window: Unrolled) -> Tensor:
        first, half, full = half_step_objectives(window)
        x, y = window.trajectory.x, window.trajectory.y
        fixed = Tensor.detach if window.detach is Detach.GREEDY else Tensor.clone
        moved_x, moved_y = x[1:] - fixed(x[:-1]), y[1:] - fixed(y[:-1])
        before = fixed(torch.cat((first.unsqueeze(0), full[:-1])))
        gain_x = self._slope(half - before, moved_x)
        gain_y = self._slope(full - fixed(half), moved_y)
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


def half_step_objectives(window: Unrolled) -> tuple[Tensor, Tensor, Tensor]:
    """f at the start of a window, after each min half-step and after each max half-step.

    Returns:
        f(x_0, y_0), (B,), without a graph; f(x_t, y_{t−1}) and f(x_t, y_t), (W, B) each.
    """
    (x, y), iterations = window.trajectory[:2], len(window.trajectory.x) - 1
    greedy = window.detach is Detach.GREEDY
    x_half, x_full = x[1:], x[1:].detach() if greedy else x[1:]
    y_half, y_full = y[:-1].detach() if greedy else y[:-1], y[1:]
    values = window.instances.repeat(2 * iterations + 1).objective(
        torch.cat((x_half, x_full, x[:1].detach())).flatten(0, 1),
        torch.cat((y_half, y_full, y[:1].detach())).flatten(0, 1),
    )
    parts = values.view(2 * iterations + 1, -1).split_with_sizes((iterations, iterations, 1))
    half, full, first = parts
    return first[0], half, full


def squared_gradients(window: Unrolled) -> Tensor:
    """‖∇ₓf‖² + ‖∇_y f‖² after each iteration, (W, B)."""
    x, y = window.trajectory.x[1:], window.trajectory.y[1:]
    if not window.count_last_half_step:
        y = torch.cat((y[:-1], y[-1:].detach()))
    gradients = window.instances.repeat(len(x)).gradients(x.flatten(0, 1), y.flatten(0, 1))
    squares: Tensor = sum(gradient.square().sum(-1) for gradient in gradients)  # type: ignore[assignment]
    return squares.view(len(x), -1)

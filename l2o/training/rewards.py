"""Rewards: the terms of the meta-loss, summed over one window (paper, Eq. 3).

Axes: W iterations of the window, B instances.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from l2o.divergence import cut_off, diverged
from l2o.problems import Instances, Iterate
from l2o.unroll import Detach, Trajectory


class Reward(NamedTuple):
    """What each instance contributes to the meta-loss."""

    value: Tensor
    """(B,); zero where the instance is not sound."""
    sound: Tensor
    """(B,); False where the instance diverged, so that it counts for nothing."""

    @property
    def mean(self) -> Tensor:
        """The meta-loss: the mean over sound instances, 0 if there are none."""
        return self.value.sum() / self.sound.sum().clamp(min=1)


def objective_reward(
    instances: Instances, trajectory: Trajectory, detach: Detach, count_last_half_step: bool
) -> Reward:
    """The objective-based reward of a window.

    Σ_t [f(x_t, y_{t−1}) − f(x_t, y_t)] + [f(x_t, y_{t−1}) − f(x_{t−1}, y_{t−1})]    (Eq. 4).

    Under `Detach.GREEDY` the objective after each half-step passes gradients to the player
    that moved only. As it stands in two terms of the sum, each output gets twice the gradient
    of its own half-step objective.

    Args:
        instances: B instances.
        trajectory: W iterations on them, (W + 1, B, m) and (W + 1, B, n).
        detach: Where meta-gradients stop.
        count_last_half_step: Whether f(x_W, y_W) passes gradients. The released code
            evaluates it only in the next window, after the meta-update.

    Returns:
        The reward of each instance. Divergence of one changes neither the value nor the
        meta-gradient of another.
    """
    x, y = trajectory.x, trajectory.y
    greedy = detach is Detach.GREEDY
    window = len(x) - 1
    batch = instances.repeat(2 * window + 1)
    x_half, x_full = x[1:], x[1:].detach() if greedy else x[1:]
    y_half, y_full = y[:-1].detach() if greedy else y[:-1], y[1:]
    values = batch.objective(
        torch.cat((x_half, x_full, x[:1].detach())).flatten(0, 1),
        torch.cat((y_half, y_full, y[:1].detach())).flatten(0, 1),
    ).view(2 * window + 1, -1)
    half, full, first = values.split_with_sizes((window, window, 1))
    last = full[-1] if count_last_half_step else full[-1].detach()
    value = 2 * half.sum(0) - 2 * full[:-1].sum(0) - last - first[0]

    sound = value.isfinite() & ~diverged(x, y).any(0)
    cut_off(Iterate(x, y), ~sound)
    return Reward(torch.where(sound, value, 0), sound)

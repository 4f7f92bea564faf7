"""Curriculum: which instances of a window count, the best first (Enhanced Twin-L2O).

Axes: W iterations of the window, B instances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from l2o.io import checks
from l2o.problems import Instances
from l2o.training.rewards import Reward
from l2o.unroll import Trajectory

RANKINGS = ("gradient", "loss")


@dataclass(frozen=True)
class Curriculum:
    """Counts only the best share C of the instances, C = min(start + growth · epoch, 1).

    Instances are ranked anew in every window, lowest first: by the `gradient`
    m = Σ_t w_t‖∇_y f(x_t, y_t)‖² (Appendix A4), or by the `loss`, the reward of the epoch so
    far (Section 3.2). With start 1 all count.

    Attributes:
        start: C in epoch 0, in (0, 1].
        growth: What each epoch adds; 0.01 in the paper and in the released code.
        rank_by: `gradient` or `loss`.
    """

    start: float = 1.0
    growth: float = 0.0
    rank_by: str = "gradient"

    def __post_init__(self) -> None:
        checks.positive("start", self.start)
        checks.number("start", self.start, maximum=1)
        checks.number("growth", self.growth, minimum=0)
        checks.choice("rank_by", self.rank_by, RANKINGS)

    def share(self, epoch: int) -> float:
        """C, as a share."""
        return min(self.start + self.growth * epoch, 1.0)

    @torch.no_grad()
    def ranking(
        self,
        instances: Instances,
        trajectory: Trajectory,
        reward: Reward,
        sound: Tensor,
        so_far: Tensor,
    ) -> Tensor:
        """m of each instance, infinite where it diverged, (B,).

        Args:
            instances: B instances.
            trajectory: The window.
            reward: Whose weights w_t count.
            sound: Which instances did not diverge, (B,).
            so_far: Σ of the rewards of the epoch's windows, this one included, (B,).
        """
        if self.rank_by == "loss":
            values = so_far
        else:
            x, y = trajectory.x[1:], trajectory.y[1:]
            field_y = instances.repeat(len(x)).field_y(x.flatten(0, 1), y.flatten(0, 1))
            squares = field_y.square().sum(-1).view(len(x), -1)
            values = (reward.weights_like(squares) * squares).sum(0)
        return torch.where(sound & values.isfinite(), values, torch.inf)


def best(values: Tensor, share: float) -> Tensor:
    """Which of the values are among the lowest ⌈share · B⌉; of equals the first, (B,)."""
    # Rounded first: 0.29 · 100 is 28.999999999999996, and 0.07 · 100 is 7.000000000000001.
    count = math.ceil(round(share * len(values), 9))
    counted = torch.zeros(len(values), dtype=torch.bool, device=values.device)
    counted[values.argsort(stable=True)[:count]] = True
    return counted

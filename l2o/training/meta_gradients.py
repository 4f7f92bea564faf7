"""What of each instance's meta-gradient counts: the one place where any of it is cut.

`l2o.unroll` is exact. Through many iterations of a nonlinear rule, though, the meta-gradients of
single instances explode, near a solution above all, where ratios of rounding errors enter, and
those of an instance that overflows are not finite at all. Here is what meta-training does about it.

Axes: W iterations of the window, B instances.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from l2o.games import Game, Iterate
from l2o.optimizers import Optimizer, tensors
from l2o.unroll import Detach, Trajectory, unroll

BOUND = 128.0
"""The longest that an instance's meta-gradient by an iterate or a state may be."""


class MetaGradients:
    """The meta-gradients of one window.

    An instance that diverges counts for nothing: not in the meta-loss, and not in the
    meta-gradient from where it diverged on. Where meta-gradients flow through iterates
    (`Detach.NONE`), what an instance passes back through an iterate or a state is shortened to
    length 128 if it is longer, and left out if it is not finite. All of this looks at one instance
    alone: how much it counts does not depend on the others, nor on how many they are.

    Args:
        detach: Where meta-gradients stop.
    """

    def __init__(self, detach: Detach) -> None:
        self.detach = detach
        self._weight: Tensor | float = 1.0
        self._bounded = detach is Detach.NONE and torch.is_grad_enabled()

    def unroll(
        self,
        optimizer: Optimizer[Any],
        game: Game,
        start: Iterate,
        iterations: int,
        *,
        state: Any,
        first: int,
    ) -> Trajectory:
        """The window's trajectory; arguments as of `l2o.unroll`."""

        def watch(iterate: Iterate, state: Any) -> None:
            self._cut(iterate, game.diverged(*iterate))
            for part in (*iterate, *tensors(state)):
                if part.requires_grad:
                    part.register_hook(self._shortened)  # type: ignore[no-untyped-call]

        return unroll(
            optimizer,
            game,
            start,
            iterations,
            state=state,
            first=first,
            detach=self.detach,
            watch=watch if self._bounded else None,
        )

    def sound(self, game: Game, trajectory: Trajectory, values: Tensor) -> Tensor:
        """Which instances count, (B,); the meta-gradients of the others are cut.

        Args:
            game: B instances.
            trajectory: The window, (W + 1, B, m) and (W + 1, B, n).
            values: The reward of each instance, (B,).
        """
        x, y = trajectory.x, trajectory.y
        sound = values.isfinite() & ~game.diverged(x, y).any(0)
        self._cut(Iterate(x, y), ~sound)
        return sound

    def mean(self, values: Tensor, counted: Tensor, total: Tensor) -> Tensor:
        """The meta-loss: the mean of the values that count, NaN if there are none.

        Args:
            values: (B,).
            counted: Which of them count, (B,).
            total: How many count in all processes.
        """
        self._weight = 1 / total.clamp(min=1)
        return torch.where(counted, values, 0).sum() / total

    def _cut(self, iterate: Iterate, lost: Tensor) -> None:
        """Ends the meta-gradients of lost instances, (B,), at iterates (…, B, ·).

        Giving them no weight in the meta-loss is not enough: 0 · NaN in the backward pass is NaN.
        """

        def without(gradient: Tensor | None) -> Tensor | None:
            # Of what a compiled step returns, and nothing uses, there is none.
            return None if gradient is None else gradient.masked_fill(lost.unsqueeze(-1), 0)

        for player in iterate:
            if player.requires_grad:
                player.register_hook(without)  # type: ignore[no-untyped-call]

    def _shortened(self, gradient: Tensor | None) -> Tensor | None:
        if gradient is None:
            return None
        rows = gradient.flatten(1)
        size = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        # In units of the weight that each instance has in the mean.
        share = (BOUND * self._weight / size).clamp(max=1)
        return torch.where(size.isfinite(), rows * share, 0).view_as(gradient)

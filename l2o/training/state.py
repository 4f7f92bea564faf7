"""Where an epoch of meta-training stands between two windows: what a checkpoint has to keep.

Axes: B instances, this process's own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from l2o.problems import Iterate


class UnrollState(NamedTuple):
    """Where the unroll stands, and what has become of each instance so far."""

    iterate: Iterate
    """Where the next window begins, (B, m) and (B, n)."""
    memory: Any
    """The optimizer's state there."""
    reward: Tensor
    """Σ of the rewards of the epoch's windows, (B,)."""
    diverged: Tensor
    """Which have diverged in any of them, those that have been restarted since included, (B,)."""

    @classmethod
    def begin(cls, iterate: Iterate, memory: Any) -> UnrollState:
        """Before the first window of an epoch."""
        reward = torch.zeros_like(iterate.x[:, 0])
        return cls(iterate, memory, reward, torch.zeros_like(reward, dtype=torch.bool))


class EpochRecord(NamedTuple):
    """What the windows of an epoch leave to be logged at its end."""

    losses: Tensor
    """The meta-loss of each, over all processes, (windows,); NaN where no instance counted."""
    counted: Tensor
    """The share of the instances that counted in each, (windows,)."""
    skipped: Tensor
    """How many meta-updates were left out, ()."""
    restarted: Tensor
    """How many instances began anew, ()."""

    @classmethod
    def begin(cls, like: Tensor) -> EpochRecord:
        """Before the first window, in the float type and on the device of a tensor."""
        none, zero = like.new_zeros(0), like.new_zeros(())
        return cls(none, none, zero, zero)

    def with_window(self, loss: Tensor, counted: Tensor) -> EpochRecord:
        """The record with one more window, its meta-loss and share as (), after those before."""
        losses = torch.cat((self.losses, loss.unsqueeze(0)))
        return self._replace(losses=losses, counted=torch.cat((self.counted, counted.unsqueeze(0))))

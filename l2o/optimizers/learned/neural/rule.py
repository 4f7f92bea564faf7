"""The rule of one player of the neural twin: which step it takes, from what it sees.

Axes: B instances, k parameters of the player, P members of a population of rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from l2o.norms import cosine, length, or_one

FAST, SLOW, AVERAGE = 0.5, 0.9, 0.99
"""Decays of the two momenta and of the average."""
STRONGEST_PULL = 0.1
"""The largest share of the way to the average."""
HORIZONS = (30.0, 300.0)
"""Iterations after which the two clocks show a half."""
DIRECTIONS = 4
"""Gradient, fast and slow momentum, optimism."""
DECISIONS = DIRECTIONS + 2
"""The logarithm of the step, the weights of the directions, the logit of the pull."""
SHARED = 3
"""How many of its statistics a player shows to the other."""
STATISTICS = 5 + SHARED + len(HORIZONS)


class Memory(NamedTuple):
    """What a rule keeps of one player: six numbers a parameter."""

    fast: Tensor
    """Σ of the gradients, weighted by 0.5 to the power of their age, (B, k)."""
    slow: Tensor
    """The same with 0.9, (B, k)."""
    square: Tensor
    """The same of their squares, with the learned decay, (B, k)."""
    slope: Tensor
    """The gradient before, (B, k)."""
    moved: Tensor
    """The last step, (B, k)."""
    average: Tensor
    """The slow average of the parameters, (B, k)."""
    shown: Tensor
    """The statistics that the other player sees, (B, 3)."""


class Rule(nn.Module):
    """Weighs normalized directions by what it sees.

    With ĝ the gradient, m̂ its momenta and ŝ the root of its second moment, each corrected for its
    start, and σ the root mean square of the parameter tensor (at least a learned floor):

    u = −exp(ℓ)/(1 + t/τ)·σ·(c₁ĝ + c₂m̂₅ + c₃m̂₉ + c₄(g − g₋₁))/ŝ,
    w ← w + u + κ(w̄ − w).

    ℓ, c₁…c₄ and the logit of κ are constants plus what a layer of tanh units makes of scale-free
    statistics; the decay of the second moment, τ and the floor are constants. All are weights,
    with a first axis P: a population of rules side by side, each for B/P instances in a row.

    Args:
        units: Of the hidden layer.
        generator: Source of its initial weights; what it decides is 0 at first.
        statistics: Whether to decide by statistics, not by constants alone.
        pull: Whether κ > 0.
        optimism: Whether c₄ ≠ 0.
        relative: Whether steps are relative to σ; without, σ is 0.1.
    """

    def __init__(
        self,
        units: int,
        generator: torch.Generator,
        statistics: bool,
        pull: bool,
        optimism: bool,
        relative: bool,
    ) -> None:
        super().__init__()
        self.statistics, self.pull = statistics, pull
        self.optimism, self.relative = optimism, relative
        started = [math.log(0.02), 1.0, 0.5, 0.0, 0.3, -3.0]
        self.constants = nn.Parameter(torch.tensor([started]))
        # The logit of the decay, log τ and the logarithm of the floor.
        self.fixed = nn.Parameter(torch.tensor([[2.2, math.log(3000.0), math.log(0.02)]]))
        if statistics:
            inputs = torch.empty(1, STATISTICS, units)
            bound = 1 / math.sqrt(STATISTICS)
            self.inputs = nn.Parameter(inputs.uniform_(-bound, bound, generator=generator))
            self.biases = nn.Parameter(torch.zeros(1, 1, units))
            self.outputs = nn.Parameter(torch.zeros(1, units, DECISIONS))

    def begin(self, w: Tensor) -> Memory:
        """The memory before the first step, at parameters of (B, k)."""
        zero = torch.zeros_like(w)
        shown = w.new_zeros(len(w), SHARED)
        return Memory(zero, zero, zero, zero, zero, w, shown)

    def forward(
        self,
        w: Tensor,
        slope: Tensor,
        memory: Memory,
        other: Tensor,
        iteration: Tensor,
        tensors: Sequence[int],
    ) -> tuple[Tensor, Memory]:
        """One step.

        Args:
            w: The player's parameters, (B, k).
            slope: The gradient of its cost, (B, k).
            memory: What it remembers.
            other: The statistics that the other player shows, (B, 3).
            iteration: How many steps it has taken, (B, 1).
            tensors: How many parameters each tensor of the network has; they add up to k.

        Returns:
            The new parameters, (B, k), and what it remembers.
        """
        constants = _per_row(self.constants, len(w))
        logit, horizon, floor = torch.split(_per_row(self.fixed, len(w)), 1, dim=1)
        decay, steps = logit.sigmoid(), iteration + 1
        fast = torch.lerp(slope, memory.fast, FAST)
        slow = torch.lerp(slope, memory.slow, SLOW)
        square = torch.lerp(slope.square(), memory.square, decay)
        size = or_one(square / (1 - decay**steps)).sqrt()
        change = torch.where(iteration > 0, slope - memory.slope, 0)
        steady = slow / (1 - SLOW**steps)
        sigma = self._scale(w, tensors, floor.exp())
        angles = cosine(slope, memory.slope), cosine(slope, memory.slow)
        shown = torch.cat((_logarithm(_rms(steady / size)), *angles), dim=1)
        decided = constants
        if self.statistics:
            own = (cosine(memory.slow, memory.moved), _logarithm(_rms(memory.moved / sigma)))
            clocks = [iteration / (iteration + half) for half in HORIZONS]
            decided = decided + self._decisions(torch.cat((shown, *own, other, *clocks), dim=1))
        ell = decided[:, :1].exp() / (1 + iteration / horizon.exp())
        weights = torch.split(decided[:, 1 : 1 + DIRECTIONS], 1, dim=1)
        direction = weights[0] * slope + weights[1] / (1 - FAST**steps) * fast + weights[2] * steady
        if self.optimism:
            direction = direction + weights[3] * change
        step = -ell * sigma * direction / size
        moved = w + step
        if self.pull:
            pull = STRONGEST_PULL * decided[:, -1:].sigmoid()
            moved = torch.lerp(moved, memory.average + step, pull)
        average = torch.lerp(moved, memory.average, AVERAGE)
        return moved, Memory(fast, slow, square, slope, step, average, shown)

    def _decisions(self, seen: Tensor) -> Tensor:
        """What the layer adds to the constants, (B, 6), for statistics of (B, 10)."""
        rows = len(seen)
        inputs, outputs = _per_row(self.inputs, rows), _per_row(self.outputs, rows)
        biases = _per_row(self.biases, rows)
        hidden = torch.baddbmm(biases, seen.unsqueeze(1), inputs).tanh()
        return torch.bmm(hidden, outputs).squeeze(1)

    def _scale(self, w: Tensor, tensors: Sequence[int], floor: Tensor) -> Tensor:
        """σ, the root mean square of the tensor that each parameter is in, (B, k)."""
        if not self.relative:
            return torch.full_like(w, 0.1)
        sizes = [_rms(part) for part in torch.split(w, list(tensors), dim=1)]
        return torch.cat(
            [
                torch.maximum(size, floor).expand(-1, count)
                for size, count in zip(sizes, tensors, strict=True)
            ],
            dim=1,
        )


def _per_row(weight: Tensor, rows: int) -> Tensor:
    """Weights of P members, (P, …), as those of their rows, (B, …)."""
    if len(weight) == 1:
        return weight.expand(rows, *weight.shape[1:])
    return weight.repeat_interleave(rows // len(weight), dim=0)


def _rms(vector: Tensor) -> Tensor:
    """The root mean square, (B, k) to (B, 1)."""
    return length(vector) / math.sqrt(vector.shape[1])


def _logarithm(size: Tensor) -> Tensor:
    """log₁₀ of a size, from −3 up."""
    return (size + 1e-3).log10()

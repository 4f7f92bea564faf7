"""Lengths, angles and ratios of each instance's vectors.

Axes: B instances, d joint coordinates.
"""

from __future__ import annotations

import torch
from torch import Tensor


def norm(z: Tensor) -> Tensor:
    """‖z‖ of each instance, (…, d) to (…, 1)."""
    size: Tensor = torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    return size


def length(vector: Tensor) -> Tensor:
    """√(‖v‖² + ε⁴), ε of the float type: differentiable also at zero, (…, d) to (…, 1)."""
    smallest = torch.finfo(vector.dtype).eps ** 4
    return (vector.square().sum(-1, keepdim=True) + smallest).sqrt()


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """⟨u, v⟩/(‖u‖‖v‖), zero where one of them is, (…, d) twice to (…, 1)."""
    # Divided one by one: the product of two small lengths would underflow.
    return (first / length(first) * (second / length(second))).sum(-1, keepdim=True)


def logarithm(ratio: Tensor) -> Tensor:
    """log(v)/5, within ±1.5: orders of magnitude as a network's input."""
    return (ratio.clamp(min=1e-4**2).log() / 5).clamp(-1.5, 1.5)


def slope(move: Tensor, change: Tensor) -> Tensor:
    """‖ΔG‖/‖Δz‖, zero where nothing moved, (B, 1)."""
    still = (move == 0).all(1, keepdim=True)
    return (length(change) / length(move)).masked_fill(still, 0)


def or_one(value: Tensor) -> Tensor:
    """The value, 1 where it is zero: a divisor for what is zero itself there."""
    return torch.where(value == 0, 1, value)

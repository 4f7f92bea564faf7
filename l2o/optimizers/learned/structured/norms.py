"""Lengths and ratios of each instance that stay differentiable where they vanish."""

from __future__ import annotations

import torch
from torch import Tensor


def length(vector: Tensor) -> Tensor:
    """√(‖v‖² + ε⁴), ε of the float type, (…, d) to (…, 1)."""
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

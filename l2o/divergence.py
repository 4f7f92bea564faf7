"""What counts as divergence, in meta-training and in every metric."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from l2o.problems import Iterate

LIMIT = 1e4
"""An iterate with a coordinate beyond this, or not finite, has diverged.

Solutions of every testbed problem lie within a few units of the start; far beyond, the spacing
of float32 numbers is no longer small against the distances that are measured.
"""


def diverged(x: Tensor, y: Tensor) -> Tensor:
    """Whether each iterate has diverged.

    Args:
        x: (..., B, m).
        y: (..., B, n).

    Returns:
        Booleans, (..., B).
    """
    largest = torch.maximum(x.abs().amax(-1), y.abs().amax(-1))
    return ~(largest <= LIMIT)  # written so that NaN counts


def cut_off(iterate: Iterate, lost: Tensor) -> None:
    """Ends the meta-gradients of lost instances at their iterates.

    Giving them no weight in the meta-loss is not enough: 0 · NaN in the backward pass is NaN.

    Args:
        iterate: One or several iterates, (..., B, m) and (..., B, n).
        lost: Which instances, (B,).
    """
    for player in iterate:
        if player.requires_grad:
            player.register_hook(lambda gradient: _without(gradient, lost))  # type: ignore[no-untyped-call]


def _without(gradient: Tensor | None, lost: Tensor) -> Tensor | None:
    # Of what a compiled step returns, and nothing uses, there is none.
    return None if gradient is None else gradient.masked_fill(lost.unsqueeze(-1), 0)


def bound_gradients(parts: Iterable[Tensor]) -> None:
    """Limits the meta-gradient of each instance where it passes through a tensor.

    Gradients through many iterations of a nonlinear rule can explode for single instances, near
    a solution above all, where ratios of rounding errors enter. A row longer than 1 is shortened
    to 1; one that is not finite is left out.

    Args:
        parts: Tensors with the batch axis first.
    """
    for part in parts:
        if part.requires_grad:
            part.register_hook(_bounded)  # type: ignore[no-untyped-call]


def _bounded(gradient: Tensor | None) -> Tensor | None:
    if gradient is None:
        return None
    rows = gradient.flatten(1)
    size = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    rows = torch.where(size.isfinite(), rows / size.clamp(min=1), 0)
    return rows.view_as(gradient)

"""What an optimizer computes: multiply-accumulates, counted while it runs.

Axes: B trajectories.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from l2o.io.seeds import generator
from l2o.optimizers import Optimizer
from l2o.problems import Instances, Iterate
from l2o.unroll import unroll


class Operations(NamedTuple):
    """The multiply-accumulates of a run."""

    products: int
    """In matrix products: one for each multiplication with its addition."""
    elementwise: int
    """In operations on single numbers (+, ·, sin, tanh, a comparison, …): one for each number."""

    @property
    def total(self) -> int:
        """Both together."""
        return self.products + self.elementwise


class _Elementwise(TorchDispatchMode):  # type: ignore[no-untyped-call]  # as PyTorch left it
    """Counts the results of every operator that PyTorch itself tags as pointwise."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if torch.Tag.pointwise in func.tags and isinstance(result, Tensor):
            self.count += result.numel()
        return result


@torch.no_grad()
def count_operations(
    optimizer: Optimizer[Any], instances: Instances, start: Iterate, iterations: int
) -> Operations:
    """Counts what a run computes, the gradients it asks for included.

    What only moves or compares numbers as a whole (copies, argmax, sums over coordinates) is
    not counted.

    Args:
        optimizer: Any optimizer.
        instances: B instances.
        start: Starting points, (B, m) and (B, n).
        iterations: Length of the run.

    Returns:
        The counts over all trajectories and iterations.

    Source: PyTorch's `FlopCounterMode` for matrix products, a multiplication and its addition
        being two of its operations; its tag `pointwise` for the rest.
    """
    with FlopCounterMode(display=False) as matrices, _Elementwise() as elementwise:
        unroll(optimizer, instances, start, iterations, generator=generator(0, "operations"))
    return Operations(matrices.get_total_flops() // 2, elementwise.count)

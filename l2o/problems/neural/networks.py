"""Batches of small dense networks, the parameters of each in one vector.

Axes: B networks, k parameters, N inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from l2o.io import checks

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "silu": torch.nn.functional.silu,
}


class DenseNetworks:
    """Dense networks of one shape, evaluated side by side by batched matrix products.

    Args:
        sizes: Of the layers, inputs first.
        activation: Between the layers, a name in `ACTIVATIONS`.

    Raises:
        UserError: If there is no such activation.
    """

    def __init__(self, sizes: Sequence[int], activation: str) -> None:
        self.activation = ACTIVATIONS[checks.choice("activation", activation, ACTIVATIONS)]
        self.layers = list(pairwise(sizes))
        """Inputs and outputs of each."""
        self.parts = [size for rows, columns in self.layers for size in (rows * columns, columns)]
        """How many parameters the weights and biases of each layer are, in their order."""

    @property
    def parameters(self) -> int:
        """k"""
        return sum(self.parts)

    def __call__(self, parameters: Tensor, inputs: Tensor) -> Tensor:
        """The outputs of every network.

        Args:
            parameters: (B, k).
            inputs: (B, N, first size).

        Returns:
            (B, N, last size)
        """
        parts = torch.split(parameters, self.parts, dim=1)
        # Units before samples: products with few rows are far faster than those with few columns.
        hidden = inputs.mT
        for place, (rows, columns) in enumerate(self.layers):
            hidden = self.activation(hidden) if place else hidden
            weights = parts[2 * place].view(-1, columns, rows)
            hidden = torch.baddbmm(parts[2 * place + 1].unsqueeze(2), weights, hidden)
        return hidden.mT

    def sample(
        self, count: int, generator: torch.Generator, deviation: float | None = None
    ) -> Tensor:
        """Initial parameters, (count, k), in single precision.

        Args:
            count: How many networks.
            generator: The only source of randomness.
            deviation: Weights are N(0, deviation²) and biases 0; None: both are
                U[−1/√inputs, 1/√inputs], as PyTorch's.
        """
        drawn = []
        for rows, columns in self.layers:
            size = (count, (rows + 1) * columns)
            if deviation is None:
                bound = 1 / math.sqrt(rows)
                uniform = torch.rand(size, generator=generator, dtype=torch.float32)
                drawn.append(bound * (2 * uniform - 1))
            else:
                weights = torch.randn(size, generator=generator, dtype=torch.float32)
                weights[:, rows * columns :] = 0
                drawn.append(deviation * weights)
        return torch.cat(drawn, dim=1)

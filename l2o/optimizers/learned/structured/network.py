"""The LSTM that turns what a player sees into coefficients.

Axes: B instances, k features, K coefficients, H hidden units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from l2o.optimizers.learned.lstm import BIASES, lstm_cell

SCALE = 0.3
"""Of what the LSTM adds to the coefficients."""


class CoefficientLSTM(nn.Module):
    """c = c⁰ + 0.3·W h, h from one LSTM layer; W starts at zero.

    Args:
        features: Inputs, k.
        hidden_size: H.
        first: c⁰ before training, K numbers.
        generator: Source of the LSTM's initial weights, U[−1/√H, 1/√H].
    """

    def __init__(
        self, features: int, hidden_size: int, first: Sequence[float], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.cell = nn.Parameter(torch.empty(4 * hidden_size, features + hidden_size + BIASES))
        bound = 1 / math.sqrt(hidden_size)
        nn.init.uniform_(self.cell, -bound, bound, generator=generator)
        self.head = nn.Parameter(torch.zeros(len(first), hidden_size))
        self.constant = nn.Parameter(torch.tensor(first))
        self.ones: Tensor
        self.register_buffer("ones", torch.ones(BIASES, 1), persistent=False)

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients and the next state.

        Args:
            features: (k, B), in which layout the gates are contiguous.
            state: (B, 2H).

        Returns:
            (K, B) and (B, 2H).
        """
        h, c = state.t().chunk(2)
        ones = self.ones.expand(BIASES, features.shape[1])
        h, c = lstm_cell(self.cell, torch.cat((features, h, ones)), c)
        return self.constant.unsqueeze(1) + SCALE * (self.head @ h), torch.cat((h, c)).t()

"""The coordinate-wise LSTM that both players of Twin-L2O use.

Axes: B instances, m coordinates, k features, H hidden units. Inside, the hidden axis comes
first, (H, B·m): the gates are then contiguous slices, which makes a step a third faster.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

BIASES = 2
"""Bias vectors of a cell. `torch.nn.LSTMCell` has two, of which only the sum matters; they are
kept because Adam moves the sum of two parameters twice as fast as it would move one."""


class CoordinateLSTM(nn.Module):
    """Two LSTM layers and a linear head, applied to every coordinate alike.

    Its state is one tensor (B, m, 4H) that holds (h¹, c¹, h², c²) of every coordinate.

    Args:
        features: Inputs per coordinate, k.
        hidden_size: H.
        generator: Source of the initial weights, U[−1/√H, 1/√H] as PyTorch draws them.
    """

    def __init__(self, features: int, hidden_size: int, generator: torch.Generator) -> None:
        super().__init__()
        gates = 4 * hidden_size
        self.lower = nn.Parameter(torch.empty(gates, features + hidden_size + BIASES))
        self.upper = nn.Parameter(torch.empty(gates, hidden_size + hidden_size + BIASES))
        self.head = nn.Parameter(torch.empty(1, hidden_size))
        self.head_bias = nn.Parameter(torch.empty(1))
        bound = 1 / math.sqrt(hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
        self.ones: Tensor
        self.register_buffer("ones", torch.ones(BIASES, 1), persistent=False)

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The output of every coordinate and the next state.

        Args:
            features: (k, B, m).
            state: (B, m, 4H).

        Returns:
            (B, m) and (B, m, 4H).
        """
        shape = features.shape[1:]
        inputs = features.flatten(1)
        ones = self.ones.expand(BIASES, inputs.shape[1])
        h1, c1, h2, c2 = state.flatten(0, 1).t().chunk(4)
        h1, c1 = lstm_cell(self.lower, torch.cat((inputs, h1, ones)), c1)
        h2, c2 = lstm_cell(self.upper, torch.cat((h1, h2, ones)), c2)
        output = functional.linear(h2.t(), self.head, self.head_bias)
        return output.view(shape), torch.cat((h1, c1, h2, c2)).t().view(state.shape)


def lstm_cell(weight: Tensor, inputs: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step of an LSTM layer, each column by itself.

    (i, f, o) = σ(W₁ u), g = tanh(W₂ u); c ← f c + i g; h ← o tanh(c).

    Args:
        weight: W₁ above W₂, (4H, k + H + 2).
        inputs: u, the layer's inputs, its h and two ones, (k + H + 2, N).
        c: (H, N).

    Returns:
        The next h and c, (H, N) each.
    """
    size = c.shape[0]
    sigmoids, tanhs = (weight @ inputs).split_with_sizes((3 * size, size))
    i, f, o = sigmoids.sigmoid().chunk(3)
    c = torch.addcmul(f * c, i, tanhs.tanh())
    return o * c.tanh(), c

"""The LSTM against PyTorch's own."""

import torch
from torch import nn

from l2o.io.seeds import generator
from l2o.optimizers.learned.lstm import CoordinateLSTM
from l2o.optimizers.learned.released import _cell


def test_equals_two_pytorch_cells_and_a_linear_layer() -> None:
    hidden, batch, coordinates = 6, 5, 3
    torch.manual_seed(0)
    lower, upper = nn.LSTMCell(2, hidden).double(), nn.LSTMCell(hidden, hidden).double()
    head = nn.Linear(hidden, 1).double()
    lstm = CoordinateLSTM(2, hidden, generator(0)).double()
    with torch.no_grad():
        lstm.lower.copy_(_cell(lower.state_dict(prefix="cell."), "cell"))
        lstm.upper.copy_(_cell(upper.state_dict(prefix="cell."), "cell"))
        lstm.head.copy_(head.weight)
        lstm.head_bias.copy_(head.bias)

    state = torch.randn(batch, coordinates, 4 * hidden).double()
    h1, c1, h2, c2 = (part.reshape(-1, hidden) for part in state.chunk(4, dim=-1))
    for _ in range(3):
        features = torch.randn(2, batch, coordinates).double()
        output, state = lstm(features, state)
        h1, c1 = lower(features.reshape(2, -1).T, (h1, c1))
        h2, c2 = upper(h1, (h2, c2))
        torch.testing.assert_close(output, head(h2).view(batch, coordinates))
        expected = torch.cat((h1, c1, h2, c2), dim=1).view(batch, coordinates, -1)
        torch.testing.assert_close(state, expected)


def test_initial_weights_are_uniform_and_seeded() -> None:
    one, same, other = (CoordinateLSTM(2, 16, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(one.upper, same.upper)
    assert not torch.equal(one.upper, other.upper)
    for parameter in one.parameters():
        assert parameter.abs().max() <= 0.25  # 1/√16
    assert one.upper.abs().max() > 0.24

"""Directions, scales, ratios and the coefficient network, by hand."""

from __future__ import annotations

import pytest
import torch

from l2o.io.seeds import generator
from l2o.norms import length, logarithm, slope
from l2o.optimizers.learned.structured.directions import DIRECTIONS, NORMALIZERS, Sight
from l2o.optimizers.learned.structured.network import CoefficientLSTM
from l2o.problems import RotatedSaddle
from tests.helpers import double_batch


def test_directions_by_hand() -> None:
    """On x² − y² + 2xy, whose coupling is 2, from (1, 2) to (4, 6) and with L = 5."""
    game, _ = double_batch(RotatedSaddle(a=[1, 1], b=[1, 1]), 1)
    before, point = torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[4.0, 6.0]]).double()
    field = game.field(point)  # (2x + 2y, 2y − 2x)
    assert field.tolist() == [[20.0, 4.0]]
    change = field - game.field(before)
    constant = torch.tensor([[5.0]]).double()
    sight = Sight(game, point, field, point - before, change, constant)
    found = {name: direction(sight)[0].tolist() for name, direction in DIRECTIONS.items()}
    assert found["gradient"] == pytest.approx([-4.0, -0.8])
    assert found["optimism"] == pytest.approx([-2.8, -0.4])
    assert found["momentum"] == [3.0, 4.0]
    # LEAD: x against ∇²xy f·Δy = 8, y along ∇²yx f·Δx = 6.
    assert found["coupling"] == pytest.approx([-1.6, 1.2])


@pytest.mark.parametrize(
    ("name", "following"), [("decayed", [0.9, 2.0]), ("largest", [1.0, 2.0]), ("none", [1.0, 1.0])]
)
def test_normalizers_by_hand(name: str, following: list[float]) -> None:
    found = NORMALIZERS[name](torch.ones(2, 1), torch.tensor([[0.5], [2.0]]))
    assert found.flatten().tolist() == pytest.approx(following)


def test_lengths_and_slopes_by_hand() -> None:
    """Nothing moved: slope zero; everywhere differentiable."""
    move = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 0.0]]).double().requires_grad_()
    change = torch.tensor([[0.0, 10.0], [0.0, 0.0], [1.0, 0.0]]).double().requires_grad_()
    assert length(move).flatten().tolist() == pytest.approx([5, 0, 0])
    found = slope(move, change)
    assert found.flatten().tolist() == pytest.approx([2, 0, 0])
    gradients = torch.autograd.grad(found.sum() + length(move).sum(), (move, change))
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_logarithms_stay_within_bounds() -> None:
    """log(v)/5 from e^−7.5 to e^7.5, flat beyond and at zero."""
    ratios = torch.tensor([1.0, 10.0, 0.1, 1e30, 0.0]).requires_grad_()
    found = logarithm(ratios)
    expected = torch.tensor([0.0, 0.46051702, -0.46051702, 1.5, -1.5])
    torch.testing.assert_close(found.detach(), expected)
    found.sum().backward()
    assert ratios.grad is not None
    assert ratios.grad.isfinite().all()


def test_coefficients_are_the_constants_until_the_head_is_trained() -> None:
    network = CoefficientLSTM(3, 4, [0.45, -1.0], generator(0))
    features, state = torch.randn(3, 5), torch.randn(5, 8)
    found, after = network(features, state)
    assert torch.equal(found, torch.tensor([[0.45], [-1.0]]).expand(2, 5))
    assert after.shape == (5, 8)
    with torch.no_grad():
        network.head += 1.0
    moved, same = network(features, state)
    h = same[:, :4]
    torch.testing.assert_close(moved, found + 0.3 * h.sum(1))
    assert torch.equal(same, after)


def test_the_network_is_a_pytorch_lstm() -> None:
    network = CoefficientLSTM(3, 4, [0.0], generator(0))
    reference = torch.nn.LSTMCell(3, 4)
    with torch.no_grad():
        i, f, o, g = network.cell.chunk(4)
        rows = torch.cat((i, f, g, o))
        reference.weight_ih.copy_(rows[:, :3])
        reference.weight_hh.copy_(rows[:, 3:7])
        reference.bias_ih.copy_(rows[:, 7])
        reference.bias_hh.copy_(rows[:, 8])
    features, state = torch.randn(5, 3), torch.randn(5, 8)
    h, c = reference(features, (state[:, :4], state[:, 4:]))
    torch.testing.assert_close(network(features.t(), state)[1], torch.cat((h, c), dim=1))

"""Batches of networks against PyTorch's own modules."""

import math

import pytest
import torch
from torch import nn

from l2o import UserError
from l2o.io.seeds import generator
from l2o.problems.neural.networks import DenseNetworks

MODULES = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}


@pytest.mark.parametrize("activation", MODULES)
def test_each_row_is_the_module_with_its_parameters(activation: str) -> None:
    networks = DenseNetworks([3, 5, 4, 2], activation)
    parameters = networks.sample(6, generator(0)).double()
    inputs = torch.randn(6, 7, 3, generator=generator(1)).double()
    act = MODULES[activation]
    module = nn.Sequential(nn.Linear(3, 5), act(), nn.Linear(5, 4), act(), nn.Linear(4, 2)).double()
    assert networks.parameters == sum(p.numel() for p in module.parameters())
    found = networks(parameters, inputs)
    for row in range(6):
        nn.utils.vector_to_parameters(parameters[row], module.parameters())
        torch.testing.assert_close(found[row], module(inputs[row]))


def test_initial_parameters_are_distributed_as_pytorchs() -> None:
    """Uniform within 1/√inputs: a deviation of that over √3; 64 · 31 draws of the second layer."""
    networks = DenseNetworks([2, 30, 1], "relu")
    first, second = networks.sample(64, generator(0)).split([90, 31], dim=1)
    for part, inputs in ((first, 2), (second, 30)):
        assert part.abs().max().item() == pytest.approx(1 / math.sqrt(inputs), rel=0.01)
        assert part.std().item() == pytest.approx(1 / math.sqrt(3 * inputs), rel=0.05)


def test_normal_weights_come_with_biases_of_zero() -> None:
    weights, biases = (
        DenseNetworks([20, 30], "relu").sample(10, generator(0), 0.02).split([600, 30], dim=1)
    )
    assert not biases.any()
    assert weights.std().item() == pytest.approx(0.02, rel=0.05)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(UserError, match="activation: expected one of relu, tanh, silu, got 'elu'"):
        DenseNetworks([2, 3, 1], "elu")

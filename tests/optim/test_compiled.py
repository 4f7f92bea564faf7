"""Compiled modules: compiled once, batch norm counted once, and what they cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import l2o
from l2o import UserError, optim
from l2o.optim import Minimax
from l2o.optimizers import Extragradient

Compile = Callable[[nn.Module, Any], Callable[..., Any]]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def by_method(module: nn.Module, backend: Any) -> nn.Module:
    module.compile(backend=backend)
    return module


STYLES: dict[str, Compile] = {
    "torch.compile(module)": lambda module, backend: torch.compile(module, backend=backend),
    "module.compile()": by_method,
    "torch.compile(function)": lambda module, backend: torch.compile(
        lambda inputs: module(inputs), backend=backend
    ),
}


class Network(nn.Module):
    """With batch norm."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.BatchNorm1d(4)
        self.layers = nn.Sequential(nn.Linear(2, 4), self.norm, nn.Tanh(), nn.Linear(4, 1)).double()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.filterwarnings("error:.*global hooks")
def test_steps_are_those_of_plain_modules(style: str) -> None:
    """Parameters and statistics; nothing of the optimizer's is traced or compiled again."""
    compilations = 0

    def backend(graph: Any, inputs: Any) -> Any:
        nonlocal compilations
        compilations += 1
        return graph.forward

    ends = []
    inputs = torch.randn(8, 2).double()
    for compiled in (False, True):
        module, delta = Network(), nn.Parameter(torch.zeros(8, 2).double())
        run = STYLES[style](module, backend) if compiled else module
        groups = [{"params": module.parameters(), "role": "min"}, {"params": delta, "role": "max"}]
        opt = optim.ExtraAdam(groups, average="uniform")
        for _ in range(4):
            opt.step(lambda run=run, delta=delta: l2o.zero_sum(run(inputs + delta).square().mean()))
        with opt.averaged():
            ends.append([value.clone() for value in module.state_dict().values()])
        assert module.norm.num_batches_tracked == 4
    assert compilations == 1
    for plain, other in zip(*ends, strict=True):
        torch.testing.assert_close(plain, other)


def test_second_derivatives_of_compiled_modules() -> None:
    """Which AOT autograd does not have; one line says so."""
    module, delta = Network(), nn.Parameter(torch.zeros(8, 2).double())
    run = torch.compile(module, backend="aot_eager")
    groups = [{"params": module.parameters(), "role": "min"}, {"params": delta, "role": "max"}]
    opt = Minimax(groups, Extragradient())
    inputs = torch.randn(8, 2).double()
    opt.step(lambda: l2o.zero_sum(run(inputs + delta).square().mean()))
    products = optim.SGAAdam(groups)
    with pytest.raises(UserError, match="a layer or a compiled module lacks"):
        products.step(lambda: l2o.zero_sum(run(inputs + delta).square().mean()))


def test_two_costs_of_a_compiled_module() -> None:
    """Which share its graph; one derivative uses it up, and each cost gets one of its own."""
    ends = []
    inputs = torch.randn(8, 2).double()
    for compiled in (False, True):
        module, delta = Network(), nn.Parameter(torch.zeros(8, 2).double())
        run = torch.compile(module, backend="aot_eager") if compiled else module
        groups = [{"params": module.parameters(), "role": "min"}, {"params": delta, "role": "max"}]

        def closure(run: Any = run, delta: Tensor = delta) -> Any:
            output = run(inputs + delta)
            return l2o.general_sum(min=output.square().mean(), max=-output.mean())

        for opt in (optim.Adam(groups, alternating=True), optim.Adam(groups)):
            for _ in range(3):
                opt.step(closure)
        assert opt._apart == compiled
        assert module.norm.num_batches_tracked == 6
        ends.append(delta.detach())
    torch.testing.assert_close(*ends)

"""Problems that are as they should be, each unusual in one way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from l2o.games import Costs, Iterate
from l2o.problems import Problem, Theta

SOUND: dict[str, tuple[type[Problem], dict[str, Any]]] = {}


def sound(**settings: Any) -> Any:
    """Registers a class with its settings."""

    def register(cls: type[Problem]) -> type[Problem]:
        SOUND[cls.__name__] = (cls, settings)
        return cls

    return register


@sound(m=2, n=3)
class IgnoresY(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x**2).sum(-1)


@sound()
class Indexed(Problem):
    """Each instance is a row of a data set, known by its number."""

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        return {"row": torch.randint(16, (count,), generator=generator)}

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        table = torch.linspace(0.5, 2, 16, dtype=x.dtype).unsqueeze(1)
        return (table[theta["row"]] * x * y).sum(-1)


@sound(m=3, n=3)
class Masked(Problem):
    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        return {"on": torch.rand(count, self.m, generator=generator) < 0.5}

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (torch.where(theta["on"], x, x / 2) * y).sum(-1)


@sound()
class Phases(Problem):
    """Complex parameters, real values."""

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        return {"phase": torch.randn(count, 1, generator=generator, dtype=torch.complex64)}

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return ((theta["phase"] * x).exp().real * y).sum(-1)


@sound()
class Length(Problem):
    """Its second derivatives are zero but for rounding."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x - y).norm(dim=-1)


@sound()
class HalfPrecision(Problem):
    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        return {"c": torch.rand(count, 1, generator=generator).half()}

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (theta["c"] * x * y).sum(-1)


@sound(m=4, n=5)
class Network(Problem):
    """A small network with kinks, per instance."""

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        return {"W": torch.randn(count, 50, 4, generator=generator)}

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        hidden = torch.relu((theta["W"] @ x.unsqueeze(-1)).squeeze(-1))
        return hidden.sum(-1) * y.sum(-1) - (y**2).sum(-1)


@sound(m=2, c=[0.5, 1.0])
class Kinked(Problem):
    """f = Σ|x − c| − y², whose solution is on a kink."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x - theta["c"]).abs().sum(-1) - (y**2).sum(-1)

    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return theta["c"].expand_as(x), 0 * y


@sound(start_x=[-2, -1.3])
class Logarithm(Problem):
    """Undefined at every start."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x**2 / 2 - (x + 1.2).log() + x * y - y**2 / 2).sum(-1)


@sound(start_x=[-0.5, 0.5])
class Sometimes(Problem):
    """Undefined at half of the starts."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x.sqrt() * y - y**2).sum(-1)


@sound()
class Nowhere(Problem):
    """Undefined wherever it is tried."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return ((x - 1e6).sqrt() * y).sum(-1)


@sound(start_x=[0.1, 0.2])
class Refuses(Problem):
    """Refuses points outside of its domain."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        if (x <= 0).any():
            raise ValueError("x must be positive")
        return (x.log() * y).sum(-1)


@sound(m=2, n=2)
class Large(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return 1e8 + 1e6 * (x**2 - y**2 + x * y).sum(-1)


@sound(m=2, n=2)
class Small(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return 1e-8 * (x**2 - y**2 + x * y).sum(-1)


@sound(start_x=[0.0, 0.0], start_y=[0.0, 0.0])
class FromTheKink(Problem):
    """Every start is where nothing is typical."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (torch.relu(x) + x * y - y.abs()).sum(-1)


@sound(a=[50.0, 60.0])
class Fast(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return ((torch.pi * theta["a"] * x).sin() * y).sum(-1)


@sound(m=2, n=3)
class GeneralSum(Problem):
    def costs(self, x: Tensor, y: Tensor, theta: Theta) -> Costs:
        f = (x.sin().sum(-1)) * y.sum(-1) + (x**2).sum(-1)
        return Costs(f, (y**4).sum(-1) - (x**2).sum(-1) * y.sum(-1))


@sound(m=2, n=2)
class Stochastic(Problem):
    """A minibatch of the data, or all of it where nothing was drawn."""

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        return {"data": torch.randn(count, 20, 2, generator=generator)}

    def draw(self, count: int, generator: torch.Generator) -> Theta:
        return {"rows": torch.randint(20, (count, 4), generator=generator)}

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        data = theta["data"]
        if "rows" in theta:
            data = data.gather(1, theta["rows"].unsqueeze(2).expand(-1, -1, 2))
        return ((data - x.unsqueeze(1)) ** 2).mean((1, 2)) + (x * y).sum(-1) - (y**2).sum(-1)


@sound(m=3, n=2)
class OwnStart(Problem):
    def sample_start(self, count: int, generator: torch.Generator, **options: Any) -> Iterate:
        x, y = (torch.randn(count, k, generator=generator) for k in (self.m, self.n))
        return Iterate(x.to(**options), y.to(**options))

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        matrix = torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 1.5]]).to(x)
        return ((x @ matrix) * y).sum(-1)


@sound()
class Inner(Problem):
    """Differentiates inside."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        with torch.enable_grad():
            z = x if x.requires_grad else x.detach().requires_grad_()
            (slope,) = torch.autograd.grad((z**3).sum(), z, create_graph=True)
        return (slope * y).sum(-1)

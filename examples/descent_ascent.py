"""Descent and ascent in one loop: three ways that go wrong, and one that does not.

    python examples/descent_ascent.py

f(x, y) = x·y + 0.1x² − 0.1y² has its saddle point at the origin. The picture shows the distance
to it.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

import l2o

PICTURE = Path(__file__).parents[1] / "docs" / "examples" / "descent_ascent.png"


def f(x: Tensor, y: Tensor) -> Tensor:
    """The value that x is to minimize and y to maximize."""
    return (x * y + 0.1 * x**2 - 0.1 * y**2).sum()


def both_descend(x: Tensor, y: Tensor) -> Callable[[], object]:
    """Wrong: one optimizer on one loss minimizes over y, too, and f has no minimum there."""
    opt = torch.optim.SGD([x, y], lr=0.1)
    return lambda: (opt.zero_grad(), f(x, y).backward(), opt.step())


def sign_twice(x: Tensor, y: Tensor) -> Callable[[], object]:
    """Wrong: the loss is negated for y, and its optimizer maximizes: y descends f again."""
    down, up = torch.optim.SGD([x], lr=0.1), torch.optim.SGD([y], lr=0.1, maximize=True)

    def step() -> None:
        (x.grad,) = torch.autograd.grad(f(x, y), x)
        (y.grad,) = torch.autograd.grad(-f(x, y), y)
        down.step()
        up.step()

    return step


def accumulating(x: Tensor, y: Tensor) -> Callable[[], object]:
    """Wrong: each loss leaves gradients in both players, so that they cancel each other."""
    opt = torch.optim.SGD([x, y], lr=0.1)
    return lambda: (opt.zero_grad(), f(x, y).backward(), (-f(x, y)).backward(), opt.step())


def with_roles(x: Tensor, y: Tensor) -> Callable[[], object]:
    """Right: each parameter has a role, and the value is stated once."""
    groups = [{"params": [x], "role": "min"}, {"params": [y], "role": "max"}]
    opt = l2o.optim.Minimax(groups, l2o.optimizers.Extragradient(step_size=0.1))
    return lambda: opt.step(lambda: l2o.zero_sum(f(x, y)))


def main(steps: int = 200, picture: Path = PICTURE) -> dict[str, float]:
    """Runs all four from (1, 1); returns how far from the saddle point each ends."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes, last = figure.subplots(), {}
    for make in (both_descend, sign_twice, accumulating, with_roles):
        x, y = (torch.ones(1, requires_grad=True) for _ in range(2))
        step, distances = make(x, y), []
        for _ in range(steps):
            distances.append(torch.hypot(x, y).item())
            step()
        name = make.__name__.replace("_", " ")
        axes.semilogy(distances, label=name, lw=2.5 if make is with_roles else 1.3)
        last[make.__name__] = distances[-1]
    axes.set(xlabel="step", ylabel="distance to the saddle point", ylim=(1e-3, 1e3))
    axes.legend(frameon=False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    return last


if __name__ == "__main__":
    print(main())

"""The oracle calls that methods declare are those they make, counted at the problem."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from l2o.games import join
from l2o.io.seeds import generator
from l2o.problems import Instances, Problem
from l2o.problems.base import Theta
from tests.optimizers.hand_designed.games import Monotone
from tests.optimizers.hand_designed.helpers import run, split
from tests.optimizers.hand_designed.methods import METHODS

HALVES = {
    "AlternatingGDA": "xy",
    "NegativeMomentum": "xy",
    "AlternatingLEAD": "xy",
    "KBeam": "xyyy",
    "Adam": "yyx",
    "LEADAdam": "yx",
}
"""Methods that use ∇ₓf or ∇_y f alone of each gradient call, in the order of an iteration."""


class Counted(Problem):
    """Another problem whose calls are counted; a coupling product is half of a pair.

    Where only a half of a gradient call is said to be used, the other half is NaN.
    """

    affine = True

    def __init__(self, inner: Problem, halves: str = "") -> None:
        super().__init__(m=inner.m, n=inner.n)
        self.inner, self.halves = inner, halves
        self.gradient_calls, self.calls = 0, 0.0

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return self.inner.objective(x, y, theta)

    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        grad_x, grad_y = self.inner.field(x, y, theta)
        self.gradient_calls += 1
        if not self.halves:
            self.calls += 1
            return grad_x, grad_y
        self.calls += 0.5
        if self.halves[(self.gradient_calls - 1) % len(self.halves)] == "x":
            return grad_x, torch.full_like(grad_y, torch.nan)
        return torch.full_like(grad_x, torch.nan), grad_y

    def coupling_x(self, x: Tensor, y: Tensor, v: Tensor, theta: Theta) -> Tensor:
        self.calls += 0.5
        return self._exact(theta).coupling_x(x, y, v)

    def coupling_y(self, x: Tensor, y: Tensor, u: Tensor, theta: Theta) -> Tensor:
        self.calls += 0.5
        return self._exact(theta).coupling_y(x, y, u)

    def jvp(
        self, x: Tensor, y: Tensor, u: Tensor, v: Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        self.calls += 1
        exact = self._exact(theta)
        return exact.split(exact.jvp(join((x, y)), join((u, v))))

    def resolvent(
        self, x: Tensor, y: Tensor, step: float | Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        self.calls += 1
        exact = self._exact(theta)
        return exact.split(exact.resolvent(join((x, y)), step))

    def _exact(self, theta: Theta) -> Instances:
        return Instances(self.inner, theta, 2)


@pytest.mark.parametrize("name", METHODS)
def test_declared_calls_are_those_made(name: str) -> None:
    method, inner = METHODS[name], Monotone(2, 3, kept=1.0)
    theta = inner.sample(2, generator(0)).theta
    problem = Counted(inner, HALVES.get(name, ""))
    instances = Instances(problem, theta, 2)
    z = torch.rand(2, 5, generator=generator(0, "start")).double() - 0.5
    declared = method.oracle_calls(instances)

    iterate = split(instances, z)
    state = method.init(instances, iterate)
    assert problem.calls == declared.start
    for k in range(1, 4):
        iterate, state = method.step(instances, iterate, state)
        assert problem.calls == declared.start + k * declared.iteration

    plain = run(method, Instances(inner, theta, 2), z, 3)[-1]
    assert torch.equal(torch.cat(iterate, dim=1), plain), "the other halves were not used"

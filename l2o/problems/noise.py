"""Instances whose derivatives are seen through noise.

Axes: B instances, m coordinates of x, n coordinates of y.
"""

from __future__ import annotations

from copy import copy

import torch
from torch import Tensor

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.io.seeds import generator
from l2o.problems.base import Instances


class NoisyInstances(Instances):
    """Instances that answer the k-th call with fresh Gaussian noise ε_k on every coordinate.

    gradients:  ∇f + ε, ε ~ N(0, σ²) for each coordinate;
    resolvent:  that of the field seen in this call, (I + α(G + ε))⁻¹, in closed form J(z − αε);
    products:   ∇²f·w + ‖w‖ε, as an error of the Hessian would give it: none for w = 0.
                Were they exact, second-order methods would see through the noise.

    Objectives and distances stay exact. The noise depends on the seed, the split, the call and
    the row alone, so that every optimizer meets the same. A copy, `select` and `repeat` for
    instance, goes on where its original is, and calls of one are not counted by the other.
    Rows that `repeat` multiplies share their noise.

    Args:
        instances: B instances.
        deviation: σ ≥ 0.
        seed: Seed of the run.
        split: What the instances are for; those of each split have noise of their own.

    Raises:
        UserError: If σ is negative or not finite.
    """

    def __init__(self, instances: Instances, deviation: float, seed: int, split: str) -> None:
        super().__init__(instances.problem, instances.theta, instances.count)
        self.deviation = checks.number("noise", deviation, minimum=0)
        self.seed = seed
        self.split = split
        self.calls = 0
        self.drawn = instances.count
        """Rows of noise that a call draws."""
        self.rows = torch.arange(instances.count)
        """Which of them is whose, (B,)."""

    def gradients(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        grad_x, grad_y = super().gradients(x, y)
        noise_x, noise_y = self._noise(grad_x)
        return grad_x + noise_x, grad_y + noise_y

    def coupling_xy(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        exact = super().coupling_xy(x, y, v)
        return exact + _length(v) * self._noise(exact)[0]

    def coupling_yx(self, x: Tensor, y: Tensor, u: Tensor) -> Tensor:
        exact = super().coupling_yx(x, y, u)
        return exact + _length(u) * self._noise(exact)[1]

    def hessian_product(self, x: Tensor, y: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        exact_x, exact_y = super().hessian_product(x, y, u, v)
        noise_x, noise_y = self._noise(exact_x)
        size = torch.hypot(_length(u), _length(v))
        return exact_x + size * noise_x, exact_y + size * noise_y

    def resolvent(self, x: Tensor, y: Tensor, step: float | Tensor) -> tuple[Tensor, Tensor]:
        noise_x, noise_y = self._noise(x)
        return super().resolvent(x - step * noise_x, y + step * noise_y, step)

    def select(self, index: Tensor | slice) -> NoisyInstances:
        return self._with(super().select(index), self.rows[index])

    def repeat(self, times: int) -> NoisyInstances:
        return self._with(super().repeat(times), self.rows.repeat(times))

    def concatenate(self, other: Instances) -> NoisyInstances:
        """These instances followed by those of `other`, parts of one noisy batch.

        Raises:
            UserError: If `other` has another noise, or another number of calls behind it.
        """
        if not isinstance(other, NoisyInstances) or self._source != other._source:
            raise UserError("concatenate: expected instances of the same noise, equally far in it")
        return self._with(super().concatenate(other), torch.cat((self.rows, other.rows)))

    def to(self, device: torch.device | str | torch.dtype) -> NoisyInstances:
        return self._with(super().to(device), self.rows)

    @property
    def _source(self) -> tuple[object, ...]:
        return self.deviation, self.seed, self.split, self.drawn, self.calls

    def _with(self, exact: Instances, rows: Tensor) -> NoisyInstances:
        noisy = copy(self)
        noisy.theta, noisy.count, noisy.rows = exact.theta, exact.count, rows
        return noisy

    def _noise(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The noise of the next call, (B, m) and (B, n), of the type and device of `like`."""
        draws = generator(self.seed, self.split, "noise", self.calls)
        self.calls += 1
        m, n = self.problem.m, self.problem.n
        # All rows, whichever are left: a row's noise must not depend on the others.
        noise = torch.randn(self.drawn, m + n, generator=draws)[self.rows]
        noise = self.deviation * noise.to(like)
        return noise[:, :m], noise[:, m:]


def _length(w: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(w, dim=1, keepdim=True)
    return length

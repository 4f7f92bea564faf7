"""What a problem is: a family of objectives f(x, y; θ) with distributions over θ and the start.

Axes: B instances, m coordinates of x, n coordinates of y.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.problems.resolvent import solve_resolvent

Theta = dict[str, Tensor]
"""The parameters θ of a batch of instances; every tensor has the batch axis first."""


class Iterate(NamedTuple):
    """A pair of points, one per instance."""

    x: Tensor
    """(B, m)"""
    y: Tensor
    """(B, n)"""


class Distance(NamedTuple):
    """How far an iterate is from the nearest solution, per player."""

    x: Tensor
    """(B,)"""
    y: Tensor
    """(B,)"""

    @property
    def joint(self) -> Tensor:
        """‖(x, y) − (x*, y*)‖, (B,)."""
        return torch.hypot(self.x, self.y)


class Problem(ABC):
    """A family min over x, max over y of f(x, y; θ).

    A subclass needs one method, `objective`. Gradients and coupling products then come from
    automatic differentiation; override them where a closed form is faster. Override `nearest`
    where the solution set is known: without it, results are measured by gradient norms.

    Args:
        m: Coordinates of x.
        n: Coordinates of y.
        start_x: Range of the uniform distribution of each starting coordinate of x.
        start_y: The same for y.
        parameters: For each scalar parameter of θ, the range of its uniform distribution.

    Raises:
        UserError: If a size is not positive or a range is reversed or not finite.
    """

    quadratic: ClassVar[bool] = False
    """Whether f is quadratic in (x, y), bilinear for instance, so that gradients are affine."""

    def __init__(
        self,
        m: int = 1,
        n: int = 1,
        start_x: Sequence[float] = (-0.5, 0.5),
        start_y: Sequence[float] = (-0.5, 0.5),
        **parameters: Sequence[float],
    ) -> None:
        self.m = checks.count("m", m)
        self.n = checks.count("n", n)
        checks.memory({"m": m, "n": n}, self.numbers)
        self.start_x = checks.value_range("start_x", start_x)
        self.start_y = checks.value_range("start_y", start_y)
        self.ranges = {key: checks.value_range(key, value) for key, value in parameters.items()}

    @property
    def numbers(self) -> int:
        """How many numbers an instance and its iterate are, at least."""
        return self.m + self.n

    @abstractmethod
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        """f(x, y; θ) of each instance.

        Args:
            x: (B, m).
            y: (B, n).
            theta: Parameters; those drawn from ranges have shape (B, 1), so that they
                multiply the coordinates of `x` and `y` as they stand.

        Returns:
            (B,). Value b must depend on row b alone.
        """

    def gradients(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        """(∇ₓf, ∇_y f), shapes (B, m) and (B, n).

        Like every closed form that replaces it, it is differentiable where the caller's
        gradient mode is on, and a constant under `torch.no_grad()`.
        """
        with torch.enable_grad():
            x, y = _leaf(x), _leaf(y)
            value = self.objective(x, y, theta).sum()
        grad_x, grad_y = _derivatives(value, (x, y))
        return grad_x, grad_y

    def coupling_xy(self, x: Tensor, y: Tensor, v: Tensor, theta: Theta) -> Tensor:
        """∇²xy f · v = ∇ₓ⟨∇_y f, v⟩, (B, m), for v of shape (B, n)."""
        with torch.enable_grad():
            x, y = _leaf(x), _leaf(y)
            value = (self.gradients(x, y, theta)[1] * v).sum()
        return _derivatives(value, (x,))[0]

    def coupling_yx(self, x: Tensor, y: Tensor, u: Tensor, theta: Theta) -> Tensor:
        """∇²yx f · u = ∇_y⟨∇ₓf, u⟩, (B, n), for u of shape (B, m)."""
        with torch.enable_grad():
            x, y = _leaf(x), _leaf(y)
            value = (self.gradients(x, y, theta)[0] * u).sum()
        return _derivatives(value, (y,))[0]

    def hessian_product(
        self, x: Tensor, y: Tensor, u: Tensor, v: Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        """∇²f · (u, v) = (∇²xx f·u + ∇²xy f·v, ∇²yx f·u + ∇²yy f·v), (B, m) and (B, n)."""
        with torch.enable_grad():
            x, y = _leaf(x), _leaf(y)
            grad_x, grad_y = self.gradients(x, y, theta)
            value = (grad_x * u).sum() + (grad_y * v).sum()
        product_x, product_y = _derivatives(value, (x, y))
        return product_x, product_y

    def resolvent(
        self, x: Tensor, y: Tensor, step: float | Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        """(I + αG)⁻¹(x, y) with G = (∇ₓf, −∇_y f): the point whose step −αG came from there.

        Without a closed form it is solved for, see `l2o.problems.resolvent`.

        Args:
            x: (B, m).
            y: (B, n).
            step: α > 0, a number or (B, 1).
            theta: Parameters, as in `objective`.

        Returns:
            Shapes (B, m) and (B, n).
        """
        return solve_resolvent(self, x, y, step, theta)

    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        """The solution nearest to (x, y).

        Args:
            x: (..., B, m); the leading axes, iterations for instance, are optional.
            y: (..., B, n).
            theta: Parameters, as in `objective`.

        Returns:
            (x*, y*), of the shapes of `x` and `y`.
        """
        raise NotImplementedError

    @property
    def has_solutions(self) -> bool:
        """Whether the problem declares its solution set."""
        return type(self).nearest is not Problem.nearest

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        """θ of `count` instances: one uniform draw of shape (count, 1) from each range."""
        return {key: uniform(limits, (count, 1), generator) for key, limits in self.ranges.items()}

    def derived(self, theta: Theta) -> Theta:
        """What follows from sampled parameters and closed forms need, in their float type."""
        return {}

    def sample(self, count: int, generator: torch.Generator) -> Instances:
        """A batch of instances.

        Args:
            count: How many, B.
            generator: A CPU generator; the only source of randomness.

        Returns:
            B instances on the CPU.
        """
        theta = self.sample_parameters(count, generator)
        return Instances(self, {**theta, **self.derived(theta)}, count)

    def sample_start(self, count: int, generator: torch.Generator) -> Iterate:
        """Starting points (x₀, y₀) of `count` instances, uniform over the declared ranges."""
        x = uniform(self.start_x, (count, self.m), generator)
        y = uniform(self.start_y, (count, self.n), generator)
        return Iterate(x, y)

    def check(self) -> None:
        """Tries the objective on a few points, before long work relies on it.

        Raises:
            UserError: If the objective fails, has the wrong shape, or is not differentiable.
        """
        name = type(self).__name__
        generator = torch.Generator().manual_seed(0)
        instances, start = self.sample(3, generator), self.sample_start(3, generator)
        try:
            value = instances.objective(start.x, start.y)
            if value.shape != (3,):
                raise UserError(
                    f"{name}.objective: expected one value per instance, shape (3,), for x of "
                    f"shape {tuple(start.x.shape)}; got shape {tuple(value.shape)}"
                )
            instances.gradients(start.x, start.y)
        except UserError:
            raise
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
            raise UserError(
                f"{name}.objective failed on three instances with x of shape "
                f"{tuple(start.x.shape)}: {type(error).__name__}: {reason}"
            ) from error


class Instances:
    """A batch of sampled instances of one problem, with the mathematics of f on all of them.

    Args:
        problem: The family.
        theta: The sampled parameters, batch axis first.
        count: B, how many instances these are.
    """

    def __init__(self, problem: Problem, theta: Theta, count: int) -> None:
        self.problem = problem
        self.theta = theta
        self.count = count

    def __len__(self) -> int:
        return self.count

    def objective(self, x: Tensor, y: Tensor) -> Tensor:
        """f(x, y; θ), (B,)."""
        return self.problem.objective(x, y, self.theta)

    def gradients(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """(∇ₓf, ∇_y f), shapes (B, m) and (B, n)."""
        return self.problem.gradients(x, y, self.theta)

    def coupling_xy(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """∇²xy f · v, (B, m)."""
        return self.problem.coupling_xy(x, y, v, self.theta)

    def coupling_yx(self, x: Tensor, y: Tensor, u: Tensor) -> Tensor:
        """∇²yx f · u, (B, n)."""
        return self.problem.coupling_yx(x, y, u, self.theta)

    def hessian_product(self, x: Tensor, y: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """∇²f · (u, v), shapes (B, m) and (B, n)."""
        return self.problem.hessian_product(x, y, u, v, self.theta)

    def resolvent(self, x: Tensor, y: Tensor, step: float | Tensor) -> tuple[Tensor, Tensor]:
        """(I + αG)⁻¹(x, y), shapes (B, m) and (B, n)."""
        return self.problem.resolvent(x, y, step, self.theta)

    def distance(self, x: Tensor, y: Tensor) -> Distance:
        """Distances of x and of y to the nearest solution, (..., B) each."""
        x_star, y_star = self.problem.nearest(x, y, self.theta)
        return Distance(
            torch.linalg.vector_norm(x - x_star, dim=-1),
            torch.linalg.vector_norm(y - y_star, dim=-1),
        )

    def select(self, index: Tensor | slice) -> Instances:
        """The instances at `index` (positions, a mask or a slice)."""
        kept = torch.arange(self.count)[index]
        return Instances(self.problem, {k: v[index] for k, v in self.theta.items()}, len(kept))

    def repeat(self, times: int) -> Instances:
        """`times` copies of the whole batch, one after another."""
        theta = {k: v.repeat(times, *[1] * (v.ndim - 1)) for k, v in self.theta.items()}
        return Instances(self.problem, theta, self.count * times)

    def concatenate(self, other: Instances) -> Instances:
        """These instances followed by those of `other`, which must be of the same problem."""
        theta = {k: torch.cat((v, other.theta[k])) for k, v in self.theta.items()}
        return Instances(self.problem, theta, self.count + other.count)

    def to(self, device: torch.device | str | torch.dtype) -> Instances:
        """The same instances on another device, or with another float type."""
        theta = {k: v.to(device) for k, v in self.theta.items()}
        if isinstance(device, torch.dtype):
            # Cast, what is derived would keep the rounding errors of the old type.
            theta |= self.problem.derived(theta)
        return Instances(self.problem, theta, self.count)


def uniform(
    limits: tuple[float, float], shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Uniform draws from [low, high]."""
    low, high = limits
    return low + (high - low) * torch.rand(shape, generator=generator)


def product(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrix times vector for each instance: (B, m, n) and (..., B, n) give (..., B, m)."""
    if vector.ndim == 2:
        return (matrix @ vector.unsqueeze(-1)).squeeze(-1)
    return torch.einsum("bij,...bj->...bi", matrix, vector)


def _leaf(tensor: Tensor) -> Tensor:
    """The tensor itself if it is part of a graph, otherwise a copy that starts one."""
    return tensor if tensor.requires_grad else tensor.detach().requires_grad_()


def _derivatives(value: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """d value / d inputs; zeros where `value` does not depend on an input."""
    if not value.requires_grad:
        return tuple(torch.zeros_like(tensor) for tensor in inputs)
    return torch.autograd.grad(
        value,
        inputs,
        create_graph=torch.is_grad_enabled(),
        allow_unused=True,
        materialize_grads=True,
    )
